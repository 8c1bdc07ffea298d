"""What the licences allow: questions with the answers in their texts, and how `make licence` uses them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from models import manifest
from scripts import licence
from scripts.licences import answers, files, terms
from scripts.licences.terms import Act

ALL = sorted(terms.known())
PAID = {"tier": "open", "paid_api": True}
OWN = "Copyright (c) 2026 Acme"

# licence | act | a copy or changed weights | the other licence, or the name | verdict | clause | duties
QUESTIONS = """
apache-2.0 | share | copy |  | allowed with | sections 2 and 4 | keep-notices license
apache-2.0 | share | changed |  | allowed with | sections 2 and 4 | changes keep-notices license
apache-2.0 | sell | changed |  | allowed | section 2 |
apache-2.0 | gate | copy |  | allowed | section 4 |
apache-2.0 | relicense | copy | mit | refused | section 4, last paragraph |
apache-2.0 | relicense | changed | mit | allowed | section 4, last paragraph |
mit | share | copy |  | allowed with | the grant (first paragraph) | copyright license
mit | sell | changed |  | allowed | the grant (first paragraph) |
mit | relicense | copy | apache-2.0 | allowed | the grant (first paragraph) |
bsd-2-clause | share | copy |  | allowed with | the grant (first paragraph) | copyright license
bsd-2-clause | relicense | copy | mit | refused | conditions 1 and 2 |
bsd-3-clause | serve | copy |  | allowed with | the grant (first paragraph) | no-endorsement
bsd-3-clause | relicense | changed | mit | allowed | conditions 1 and 2 |
cc0-1.0 | share | copy |  | allowed | section 2 |
cc0-1.0 | relicense | copy | mit | allowed | section 2 |
cc-by-4.0 | share | changed |  | allowed with | section 2(a)(1) | attribution changes link
cc-by-4.0 | sell | copy |  | allowed | section 2(a)(1) |
cc-by-4.0 | gate | copy |  | refused | section 2(a)(5)(B) |
cc-by-4.0 | relicense | changed | apache-2.0 | allowed | section 3(a)(4) |
cc-by-sa-4.0 | change | changed |  | allowed with | section 2(a)(1)(B) | changes share-alike
cc-by-sa-4.0 | relicense | changed | mit | refused | section 3(b)(1) |
cc-by-sa-4.0 | relicense | changed | gpl-3.0 | allowed | section 3(b)(1) |
cc-by-sa-4.0 | relicense | copy | gpl-3.0 | refused | section 3(b)(1) |
cc-by-sa-4.0 | gate | changed |  | refused | sections 2(a)(5)(C) and 3(b)(3) |
cc-by-nc-4.0 | share | copy |  | allowed with | section 2(a)(1) | attribution link
cc-by-nc-4.0 | gate | copy |  | refused | section 2(a)(5)(B) |
cc-by-nc-4.0 | gate | changed |  | allowed | section 2(a)(5)(B) |
cc-by-nc-4.0 | serve | copy |  | allowed | section 2(a)(1) |
cc-by-nc-4.0 | sell | copy |  | refused | section 2(a)(1) |
cc-by-nc-4.0 | relicense | changed | apache-2.0 | refused | section 3(a)(4) |
cc-by-nc-sa-4.0 | sell | changed |  | refused | section 2(a)(1) |
cc-by-nc-sa-4.0 | relicense | changed | cc-by-nc-4.0 | refused | section 3(b)(1) |
cc-by-nc-nd-4.0 | share | copy |  | allowed with | section 2(a)(1) | attribution link
cc-by-nc-nd-4.0 | gate | changed |  | refused | section 2(a)(5)(B) |
cc-by-nc-nd-4.0 | change | changed |  | refused | section 2(a)(1)(B) |
creativeml-openrail-m | share | copy |  | allowed with | paragraphs 2 and 4 | keep-notices license use-policy
creativeml-openrail-m | sell | copy |  | allowed with | paragraphs 2 and 4 | license use-policy
creativeml-openrail-m | relicense | changed | apache-2.0 | refused | paragraph 4(a) |
openrail++ | change | changed |  | allowed with | paragraphs 2 and 4 | changes
openrail++ | relicense | changed | other | allowed | paragraph 4(a) |
bigscience-openrail-m | share | changed |  | allowed with | paragraphs 2 and 4 | changes keep-notices license use-policy
bigscience-bloom-rail-1.0 | serve | copy |  | allowed with | paragraph 4 | license use-policy
bigcode-openrail-m | share | copy |  | allowed with | paragraph 5 | documentation license use-policy
bigcode-openrail-m | relicense | changed | mit | refused | paragraph 5.1 |
llama2 | share | changed | tiny | allowed with | sections 1.a and 2 | license no-training notice use-policy
llama2 | relicense | changed | apache-2.0 | refused | section 1.b.i |
llama3 | share | copy |  | allowed with | sections 1.a and 2 | display license no-training notice use-policy
llama3 | share | changed | Tiny | refused | section 1.b.i |
llama3.1 | share | changed | Tiny Llama | refused | section 1.b.i |
llama3.1 | share | changed | llama-tiny | allowed with | sections 1.a and 2 | display license name notice use-policy
llama3.1 | sell | copy |  | allowed with | sections 1.a and 2 | display license use-policy
llama3.2 | relicense | changed | mit | refused | section 1.b.i |
llama3.2 | serve | copy |  | allowed with | sections 1.a and 2, and the use policy | display license use-policy
llama3.3 | share | copy |  | allowed with | sections 1.a and 2, and the use policy | display license notice use-policy
llama4 | gate | copy |  | allowed | sections 1.a and 2, and the use policy |
gemma | share | changed |  | allowed with | sections 2.2 and 3.1 | changes license notice use-policy
gemma | sell | copy |  | allowed with | sections 2.2 and 3.1 | license use-policy
gemma | relicense | changed | apache-2.0 | refused | section 3.1(1) |
"""
ROWS = [tuple(cell.strip() for cell in line.split("|")) for line in QUESTIONS.strip().splitlines()]


@pytest.mark.parametrize(("id", "act", "weights", "what", "verdict", "clause", "duties"), ROWS)
def test_each_question_has_the_answer_that_the_licence_text_gives(
    id: str, act: Act, weights: str, what: str, verdict: str, clause: str, duties: str
) -> None:
    names = [what] if what and act != "relicense" else []
    found = answers.answer(terms.known()[id], act, changed=weights == "changed", becomes=what, names=names)
    assert (found.verdict, found.clause) == (verdict, clause)
    assert sorted(duty.kind for duty in found.duties) == duties.split()


def test_there_are_at_least_forty_questions_and_each_licence_has_one() -> None:
    assert len(set(ROWS)) >= 40
    assert {row[0] for row in ROWS} == set(ALL)


@pytest.mark.parametrize("id", ALL)
def test_each_licence_answers_every_act_and_names_where_its_text_is(id: str) -> None:
    found = terms.known()[id]
    assert set(found.rights) == set(terms.ACTS)
    assert found.link.startswith("https://")
    assert all(right.why for right in found.rights.values() if right.allowed is not True)


@pytest.mark.parametrize("id", [id for id in ALL if id.startswith("llama")])
def test_llama_is_free_below_700_million_users(id: str) -> None:
    assert "700 million" in terms.known()[id].rights["sell"].only_if


Change = Callable[..., manifest.Manifest]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Change:
    """Makes a manifest from the default one, with some keys changed, in a catalog of its own."""
    real = yaml.safe_load(manifest.path_of(manifest.slugs()[0]).read_text(encoding="utf-8"))
    monkeypatch.setattr(manifest, "CATALOG", tmp_path)
    monkeypatch.setattr(manifest, "PROJECT", tmp_path)
    monkeypatch.setenv("MODEL", "tiny")

    def changed(**keys: Any) -> manifest.Manifest:
        (tmp_path / "tiny").mkdir(exist_ok=True)
        manifest.path_of("tiny").write_text(yaml.safe_dump(real | keys), encoding="utf-8")
        return manifest.load("tiny")

    return changed


def under(id: str, **keys: Any) -> dict[str, Any]:
    return {"id": id, "link": f"https://example.com/{id}", **keys}


def made_from(id: str, relation: str = "finetune", **keys: Any) -> dict[str, Any]:
    return {"model": "acme/base", "relation": relation, "license": under(id, **keys), "changes": "Tuned on letters."}


def test_a_fine_tune_inherits_the_licence_of_its_base(model: Change) -> None:
    tuned = model(license=under("cc-by-nc-4.0"), base=made_from("cc-by-nc-4.0"), release=PAID)
    refused = [found for found in answers.check(tuned) if found.verdict == "refused"]
    assert [found.act for found in refused] == ["sell"]
    with pytest.raises(terms.LicenceError, match=r"NonCommercial .*forbids a paid API: refused \(section 2\(a\)"):
        answers.require(tuned)


def test_a_licence_that_differs_from_the_base_s_must_be_allowed_by_the_base(model: Change) -> None:
    tuned = model(license=under("mit", copyright=OWN), base=made_from("gemma"), release="api-only")
    with pytest.raises(terms.LicenceError, match=r"Gemma Terms .*another licence: refused \(section 3\.1\(1\)\)"):
        answers.require(tuned)


def test_own_weights_have_no_duties_and_must_be_declared_as_own(model: Change) -> None:
    own = model(license=under("cc-by-nc-4.0", copyright=OWN), base=None, release=PAID)
    assert {found.verdict for found in answers.require(own)} == {"allowed"}
    with pytest.raises(terms.LicenceError, match=r"model\.yaml does not say whose the weights are: set base"):
        answers.check(model(license=under("cc-by-nc-4.0"), base=None))


def test_the_manifest_in_the_docs_is_valid_and_its_release_is_allowed(model: Change) -> None:
    page = (Path(__file__).parents[4] / "docs" / "publishing.md").read_text(encoding="utf-8")
    (shown,) = [block for block in re.findall(r"^```yaml\n(.*?)^```$", page, re.M | re.S) if "release:" in block]
    planned = answers.require(model(title="Llama Letters", **yaml.safe_load(shown)))
    assert [found.act for found in planned] == ["serve", "share", "change", "gate", "sell"]


def test_a_missing_release_is_named(model: Change) -> None:
    with pytest.raises(terms.LicenceError, match=r"model\.yaml: set release to open, gated, api-only or staged"):
        answers.check(model(release=None))


def test_api_only_publishes_no_copy(model: Change) -> None:
    assert answers.planned(model(release="api-only")) == ["serve"]


def test_the_error_for_an_unknown_licence_names_the_nearest(model: Change) -> None:
    with pytest.raises(terms.LicenceError, match=r"'apache2' \(did you mean apache-2\.0\?\): set id: other and a name"):
        answers.check(model(base=made_from("apache2")))


OTHER = {
    "name": "Acme Research License",
    "link": "https://example.com/acme",
    "rights": {act: {"allowed": act != "sell", "clause": f"clause {act}", "why": "research"} for act in terms.ACTS},
}


def test_the_licence_other_needs_a_file_with_answers_and_then_uses_them(model: Change, tmp_path: Path) -> None:
    other = under("other", name="acme-1.0")
    research = model(license=other, base=made_from("other", name="acme-1.0"), release=PAID)
    with pytest.raises(terms.LicenceError, match=r"acme-1\.0\.yaml is missing: read https://example\.com/other"):
        answers.check(research)
    answers_file = tmp_path / "tiny" / "acme-1.0.yaml"
    answers_file.write_text(yaml.safe_dump(OTHER | {"rights": {"share": {"allowed": True, "clause": "1"}}}))
    with pytest.raises(terms.LicenceError, match=r"rights: answer gate, serve, sell, change, relicense too"):
        answers.check(research)
    answers_file.write_text(yaml.safe_dump(OTHER))
    with pytest.raises(terms.LicenceError, match=r"forbids a paid API: refused \(clause sell\): research"):
        answers.require(research)


def test_llama_gets_its_agreement_notice_and_use_policy(model: Change, tmp_path: Path) -> None:
    tuned = model(title="Llama Letters", license=under("llama3.1"), base=made_from("llama3.1"), release="open")
    with pytest.raises(
        terms.LicenceError, match=r"tiny/LICENSE is missing: .* save it there, from https://www\.llama\.com"
    ):
        files.files(tuned)
    (tmp_path / "tiny" / "LICENSE").write_text("LLAMA 3.1 COMMUNITY LICENSE AGREEMENT\n")
    written = files.files(tuned)
    assert sorted(written) == ["LICENSE", "NOTICE", "USE_POLICY.md"]
    assert "Llama 3.1 is licensed under the Llama 3.1 Community License, Copyright © Meta" in written["NOTICE"]
    assert "https://huggingface.co/acme/base" in written["NOTICE"]
    assert "https://llama.meta.com/llama3_1/use-policy" in written["USE_POLICY.md"]


def test_mit_over_apache_includes_both_texts(model: Change) -> None:
    tuned = model(license=under("mit", copyright=OWN), base=made_from("apache-2.0"), release="open")
    written = files.files(tuned)
    assert sorted(written) == ["LICENSE", "LICENSE-apache-2.0", "NOTICE"]
    assert OWN in written["LICENSE"]
    assert "Apache License" in written["LICENSE-apache-2.0"]
    assert "Changes: Tuned on letters." in written["NOTICE"]


def test_the_notice_of_the_base_is_kept_with_our_own(model: Change) -> None:
    base = made_from("mit", copyright="Copyright (c) 2023 Base")
    tuned = model(license=under("mit", copyright=OWN), base=base, release="open")
    assert f"Copyright (c) 2023 Base\n{OWN}\n" in files.files(tuned)["LICENSE"]


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (
            {"license": under("mit"), "base": made_from("mit", "copy")},
            r"set base\.license\.copyright to",
        ),
        (
            {"license": under("apache-2.0"), "base": made_from("apache-2.0") | {"changes": None}},
            r"set base\.changes to what was changed \(Apache License 2\.0, section 4\(b\)\)",
        ),
    ],
)
def test_a_fact_that_a_notice_needs_is_named_by_its_key(model: Change, keys: dict[str, Any], says: str) -> None:
    with pytest.raises(terms.LicenceError, match=says):
        files.files(model(**keys))


def test_the_command_says_what_is_allowed_and_writes_the_files(
    model: Change, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model()
    assert licence.main([]) == 0
    printed = capsys.readouterr()
    assert "a public copy of the weights  allowed with" in printed.out
    assert "This is not legal advice; only the text is binding: https://www.apache.org" in printed.out
    assert sorted(path.name for path in (tmp_path / "tiny").iterdir()) == ["LICENSE", "NOTICE", "model.yaml"]
    model(license=under("cc-by-nc-4.0"), base=made_from("cc-by-nc-4.0"), release=PAID)
    assert licence.main([]) == 1
    printed = capsys.readouterr()
    assert "refused" in printed.out
    assert "forbids a paid API: refused (section 2(a)(1))" in printed.err


def test_the_command_works_for_a_licence_without_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert licence.main(["--of", "llama3.1"]) == 0
    printed = capsys.readouterr().out
    assert 'begin the name of the model with "Llama" (section 1.b.i)' in printed
    assert licence.main(["--of", "openrail"]) == 1
    assert "did you mean openrail++?" in capsys.readouterr().err

# sh scripts/engine.sh cpu|cuda
#
# Prints the engine whose packages are installed into .venv: the first of the selected model's `engines` that this device
# can run, or else the first one. The model is MODEL, or that of cog.yaml. The manifest is read without a YAML library,
# because there is no .venv yet; models/manifest.py checks it.
set -eu

slug=${MODEL:-$(sed -n '1s:^# Rendered from models/catalog/\([^/]*\)/.*:\1:p' cog.yaml 2>/dev/null || true)}
[ -f "models/catalog/$slug/model.yaml" ] || slug=${MODEL:-*}

for file in models/catalog/$slug/model.yaml; do
    [ -f "$file" ] || continue
    sed 's/#.*//; s/["'\'']//g; s/  *:/:/g' "$file" | awk -v here="$1" '
        /^[^ \t-]/ { inside = /^engines:/ }
        !inside { next }
        {
            gsub(/[^a-z_:]/, " ")
            for (field = 1; field < NF; field++) {
                if ($field == "engine:") engine = $(field + 1)
                if ($field == "device:") device = $(field + 1)
                if (engine == "" || device == "") continue
                if (first == "") first = engine
                if (found == "" && (device == "cpu" || device == here)) found = engine
                engine = device = ""
            }
        }
        END { print found != "" ? found : first }'
    exit
done

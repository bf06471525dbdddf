#!/bin/sh
# Classify a picture with curl alone: curl.sh PICTURE [MODEL]
#
# TRITON  Triton's HTTP endpoint, default http://127.0.0.1:8000
# GATEWAY the gateway, default http://127.0.0.1:5000; empty leaves it out
# API_KEY the gateway's key, if it asks for one
set -eu
picture=${1:?the picture is missing: curl.sh PICTURE [MODEL]}
model=${2:-efficientnet_lite0}
[ -f "$picture" ] || { echo "curl.sh: there is no file $picture" >&2; exit 1; }
triton=${TRITON-http://127.0.0.1:8000}
gateway=${GATEWAY-http://127.0.0.1:5000}
ask() { curl --silent --show-error --fail-with-body "$@"; echo; }

if [ -n "$gateway" ]; then
    echo "The gateway takes the file as it is:"
    ask --data-binary "@$picture" -H 'Content-Type: image/jpeg' \
        ${API_KEY:+-H "X-API-Key: $API_KEY"} "$gateway/v1/classify?top_k=1${2:+&model=$2}"
fi

echo "Triton takes JSON followed by the tensor: four bytes of length, then the file:"
size=$(wc -c <"$picture")
head='{"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1, 1],
    "parameters": {"binary_data_size": '$((size + 4))'}}],
  "outputs": [{"name": "probabilities", "parameters": {"classification": 1}}]}'
{
    printf '%s' "$head"
    for shift in 0 8 16 24; do
        # shellcheck disable=SC2059 # the format is the byte
        printf "\\$(printf '%03o' $((size >> shift & 255)))"
    done
    cat "$picture"
} | ask --data-binary @- -H 'Content-Type: application/octet-stream' \
    -H "Inference-Header-Content-Length: ${#head}" "$triton/v2/models/${model}_image/infer"

echo "Or just the file, for the probabilities of all classes as FP32:"
ask --data-binary "@$picture" -H 'Content-Type: application/octet-stream' \
    -H 'Inference-Header-Content-Length: 0' --output /dev/null --write-out '%{size_download} bytes' \
    "$triton/v2/models/${model}_image/infer"

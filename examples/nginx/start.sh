#!/bin/sh
# nginx in front of an application that knows nothing of tokens. With `jwtauth dev` running, one command starts it:
#
#   sh examples/nginx/start.sh
#
# and ends all of it again with Ctrl-C or SIGTERM. Then, with a token that `jwtauth dev` printed:
#
#   curl -i http://127.0.0.1:8001/ -H "Authorization: Bearer $TOKEN"
#
# ISSUER and AUDIENCE in the environment name another issuer and what its tokens for you carry in `aud`. What nginx and
# the application write goes to a folder that is gone afterwards.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
issuer=${ISSUER:-http://127.0.0.1:8000}
folder=$(mktemp -d)
processes=
PATH=$PATH:/usr/sbin

end() {
    trap - EXIT INT TERM
    kill $processes 2>/dev/null || true # ids, one word each
    wait
    rm -rf "$folder"
}
trap end EXIT INT TERM

jwtauth-verify-proxy --issuer "$issuer" --audience "${AUDIENCE:-$issuer/realms/default}" --require-scope read \
    --listen 127.0.0.1:9000 &
processes="$processes $!"
mkdir "$folder/application"
echo "January, February" >"$folder/application/reports"
python3 -m http.server 8080 --bind 127.0.0.1 --directory "$folder/application" &
processes="$processes $!"
nginx -p "$folder" -c "$here/nginx.conf" -g "daemon off;" &
processes="$processes $!"
wait

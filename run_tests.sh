#!/usr/bin/env bash
# The same as `make test`.
cd "$(dirname "${BASH_SOURCE[0]}")" || exit
exec make --no-print-directory test

read -r _ || exit 1
exec "$@"

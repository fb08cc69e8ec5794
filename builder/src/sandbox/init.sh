exec 3<&0 </dev/null
echo ready >&2
read -r _ <&3 || exit 1
"$@" 3<&- & child=$!
{ read -r _ <&3; kill -KILL "$child"; } 2>/dev/null &
wait "$child"

package runlock

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
)

// File is the record on a master. No wipe takes it: a destroy holds it too.
const File = "/run/gantry-apply.lease"

// The record is four lines: the holder's token, the uptime of the server at which
// it was renewed, since when it is held, and by whom. It is changed under a lock
// on the file itself, which is worth nothing when the file was removed meanwhile.
const lockScript = `umask 077
f=$1
while :; do
  exec 9>>"$f" || exit 1
  flock -w 5 9 || exit 1
  [ "$(stat -L -c %i /proc/self/fd/9)" = "$(stat -c %i "$f" 2>/dev/null)" ] && break
done
{ read -r token; read -r stamp; read -r since; read -r who; } <"$f"
`

const takeScript = lockScript + `now=$(cut -d' ' -f1 /proc/uptime) || exit 1
stamp=${stamp%.*}; age=$((${now%.*} - ${stamp:-0}))
if [ -n "$token" ] && [ "$token" != "$2" ] && [ "$age" -lt "$3" ]; then
  echo "held $age $since $who"; exit 0
fi
[ "$token" = "$2" ] || since=$(date +%s)
printf '%s\n' "$2" "$now" "$since" "$4" >"$f" && echo granted`

const releaseScript = lockScript + `[ -n "$token" ] && [ "$token" != "$2" ] || rm -f "$f"`

// guardScript lives as long as the connection: its output goes nowhere then. A
// holder that comes back within the grace has renewed the record by then.
const guardScript = `trap '' PIPE HUP TERM
while printf . 2>/dev/null; do sleep 0.5; done
{ read -r token; read -r before; } <"$1" 2>/dev/null && [ "$token" = "$2" ] || exit 0
sleep "$3"
` + lockScript + `[ "$token" != "$2" ] || [ "$stamp" != "$before" ] || rm -f "$f"`

// Commands are what a master is asked, by the names of their scripts.
const (
	TakeCommand    = "take-run-lock"
	ReleaseCommand = "release-run-lock"
	GuardCommand   = "guard-run-lock"
)

// record is what one run writes on masters, and how.
type record struct {
	file, token string
	ttl         time.Duration
	// grace is how long the record outlives its holder's connection.
	grace time.Duration
	// holder is what the record says of the run.
	holder func() string
}

// take takes or renews the run lock on one master. It returns a HeldError where
// somebody else has it.
func (r record) take(ctx context.Context, h host.Host) error {
	ttl := strconv.Itoa(max(1, int(r.ttl.Seconds())))
	out, err := h.Run(ctx, host.Shell(TakeCommand, takeScript, r.file, r.token, ttl, oneLine(r.holder())))
	if err != nil {
		return fmt.Errorf("take the run lock: %w", err)
	}
	answer := strings.TrimSpace(string(out))
	if answer == "granted" {
		return nil
	}
	f := strings.SplitN(answer, " ", 4)
	if len(f) < 4 || f[0] != "held" {
		return fmt.Errorf("%s: take the run lock: unexpected answer %q", h.Name(), answer)
	}
	age, _ := strconv.Atoi(f[1])
	since, _ := strconv.ParseInt(f[2], 10, 64)
	return &HeldError{Host: h.Name(), Holder: f[3], Since: time.Unix(since, 0), Silent: time.Duration(age) * time.Second, TTL: r.ttl}
}

func (r record) release(ctx context.Context, h host.Host) error {
	_, err := h.Run(ctx, host.Shell(ReleaseCommand, releaseScript, r.file, r.token))
	return err
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

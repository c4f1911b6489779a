package step

import (
	"context"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
)

// marksDir is where a host keeps with which inputs each unit was started.
const marksDir = "/var/lib/gantry/bootstrap/units"

// Unit is one of Units. Inputs is the digest of everything that the process
// reads at its start: when it differs from the digest it was last started with,
// the unit is restarted, and otherwise it never is.
type Unit struct {
	Name   string
	Inputs string
}

// Units are enabled and running with their inputs. They are started together,
// so that systemd does it in parallel where their order allows.
type Units struct {
	Units []Unit
	// Timeout until all are ready, beyond what the units themselves allow.
	Timeout time.Duration
}

func (u Units) String() string {
	names := make([]string, len(u.Units))
	for i, unit := range u.Units {
		names[i] = unit.Name
	}
	return "enable and start " + strings.Join(names, ", ")
}

// Watch names the units.
func (u Units) Watch() Watch {
	var w Watch
	for _, unit := range u.Units {
		w.Units = append(w.Units, unit.Name)
	}
	return w
}

func (u Unit) done(s Seen) bool {
	state := s.Units[u.Name]
	return state.Running() && state.Enabled && state.Mark == u.Inputs
}

// Done reports whether all run, are enabled and have their inputs.
func (u Units) Done(s Seen) bool {
	return !slices.ContainsFunc(u.Units, func(unit Unit) bool { return !unit.done(s) })
}

// Differing says of each unit that is not as it should be, why.
func (u Units) Differing(s Seen) []string {
	var out []string
	for _, unit := range u.Units {
		switch state := s.Units[unit.Name]; {
		case !state.Loaded:
			out = append(out, unit.Name+" is missing")
		case !state.Running():
			out = append(out, unit.Name+" is "+state.Active)
		case !state.Enabled:
			out = append(out, unit.Name+" is not enabled")
		case state.Mark != unit.Inputs:
			out = append(out, unit.Name+" runs with an older configuration")
		}
	}
	return out
}

// A unit may fail its first attempt for a reason that passes (its peer is just
// starting): systemd tries again, and so the script waits before it gives up,
// and then says what the unit's own log says. A full disk does not pass, and takes
// the logs with it, so it is looked for: nothing is restarted on one, since what
// runs might not come back.
const startScript = `wait=$1; shift
full() { for d in /etc /var/lib; do
  set -- "$d" $(stat -f -c '%a %S' "$d")
  [ $(($2 * $3)) -ge 1048576 ] || { echo "$1: No space left on device ($(($2 * $3)) bytes are free)"; return 0; }
done; return 1; }
full >&2 && exit 1
for u; do systemctl is-enabled --quiet "$u" || systemctl enable --quiet "$u" || exit 1; done
timeout 10 systemctl restart "$@"; status=$?
[ $status != 0 ] || exit 0
[ $status != 124 ] || wait=$((wait + 80)) # the unit's own time is not over
end=$(($(date +%s) + wait))
while [ "$(date +%s)" -lt "$end" ]; do
  all=yes; for u; do systemctl is-active --quiet "$u" || all=no; done
  [ $all = yes ] && exit 0
  full >&2 && break
  sleep 1
done
for u; do
  systemctl is-active --quiet "$u" && continue
  echo "--- $u: $(systemctl show -p ActiveState,SubState,Result,StatusText --value "$u" | tr '\n' ' ')" >&2
  journalctl --no-pager -q -n 25 -o cat -u "$u" >&2
done
exit 1`

const markScript = `mkdir -p "$1" && cd "$1" && shift && while [ $# -gt 1 ]; do echo "$2" >"$1.new" && mv -f "$1.new" "$1" || exit 1; shift 2; done`

// Apply (re)starts those that are not as they should be and waits until they
// are ready, then marks the inputs they were started with.
func (u Units) Apply(ctx context.Context, h host.Host, s Seen) error {
	var names, marks []string
	for _, unit := range u.Units {
		if !unit.done(s) {
			names = append(names, unit.Name)
			marks = append(marks, unit.Name, unit.Inputs)
		}
	}
	if len(names) == 0 {
		return nil
	}
	args := append([]string{strconv.Itoa(int(u.Timeout.Seconds()))}, names...)
	if _, err := h.Run(ctx, host.Shell("start-units", startScript, args...)); err != nil {
		return err
	}
	_, err := h.Run(ctx, host.Shell("mark-units", markScript, append([]string{marksDir}, marks...)...))
	return err
}

// Stop is units that neither run nor start at boot. Their files may be gone.
type Stop struct{ Units []string }

func (u Stop) String() string { return "stop and disable " + strings.Join(u.Units, ", ") }

// Watch names the units.
func (u Stop) Watch() Watch { return Watch{Units: u.Units} }

// Done reports whether none runs or is enabled.
func (u Stop) Done(s Seen) bool {
	return !slices.ContainsFunc(u.Units, func(name string) bool {
		state := s.Units[name]
		return state.Enabled || (state.Active != "inactive" && state.Active != "")
	})
}

const stopScript = `for u; do systemctl cat "$u" >/dev/null 2>&1 && systemctl disable --quiet "$u"; done
systemctl stop "$@"; systemctl reset-failed "$@" 2>/dev/null
for u; do ! systemctl is-active --quiet "$u" || { echo "$u still runs" >&2; exit 1; }; done`

// Apply stops them, all together.
func (u Stop) Apply(ctx context.Context, h host.Host, _ Seen) error {
	_, err := h.Run(ctx, host.Shell("stop-units", stopScript, u.Units...))
	return err
}

const unitsScript = `dir=$1; shift
systemctl show -p Id,LoadState,ActiveState,UnitFileState,NeedDaemonReload "$@"
for u; do [ ! -f "$dir/$u" ] || ! read -r mark <"$dir/$u" || echo "mark=$u=$mark"; done`

func observeUnits(ctx context.Context, h host.Host, units []string) (map[string]UnitState, error) {
	out, err := h.Run(ctx, host.Shell("unit-states", unitsScript, append([]string{marksDir}, units...)...))
	if err != nil {
		return nil, err
	}
	return parseUnits(string(out)), nil
}

// parseUnits reads blocks of Key=Value lines, one per unit, and then the marks.
func parseUnits(out string) map[string]UnitState {
	states := map[string]UnitState{}
	block := map[string]string{}
	flush := func() {
		if id := block["Id"]; id != "" {
			states[path.Base(id)] = UnitState{
				Loaded: block["LoadState"] == "loaded", Active: block["ActiveState"],
				Enabled: block["UnitFileState"] == "enabled", NeedsReload: block["NeedDaemonReload"] == "yes",
			}
		}
		block = map[string]string{}
	}
	var marks [][2]string
	for line := range strings.Lines(out) {
		key, v, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok {
			flush()
			continue
		}
		if key == "mark" {
			unit, mark, _ := strings.Cut(v, "=")
			marks = append(marks, [2]string{unit, mark})
			continue
		}
		block[key] = v
	}
	flush()
	for _, m := range marks {
		s := states[m[0]]
		s.Mark = m[1]
		states[m[0]] = s
	}
	return states
}

package judge

import (
	"fmt"
	"maps"
	"slices"
)

// watches: the revisions that a watcher sees grow, a stream goes on where the one
// before ended, and each acknowledged write between its first and its last revision
// is seen, with its value.
func watches(ops []Op, seen []Seen) []Violation {
	var out []Violation
	byWatcher := map[string][]Seen{}
	for _, s := range seen {
		byWatcher[s.Watcher] = append(byWatcher[s.Watcher], s)
	}
	for _, name := range slices.Sorted(maps.Keys(byWatcher)) {
		out = append(out, watcher(name, byWatcher[name], ops)...)
	}
	return out
}

// span is what a watcher must have seen all of: after the first, up to the last.
type span struct{ after, upTo int64 }

func watcher(name string, seen []Seen, ops []Op) []Violation {
	var out []Violation
	var spans []span
	events := map[int64]Seen{}
	last := int64(0)
	bad := func(s Seen, format string, args ...any) {
		out = append(out, Violation{"watch", s.At, "watcher " + name + ": " + fmt.Sprintf(format, args...)})
	}
	for _, s := range seen {
		switch s.Type {
		case Listed:
			if s.Revision < last {
				bad(s, "a list has revision %d after %d was seen", s.Revision, last)
			}
			spans = append(spans, span{s.Revision, s.Revision})
			last = s.Revision
			continue
		case Started:
			if s.Revision != last {
				bad(s, "a stream begins after %d, and not after %d", s.Revision, last)
			}
			continue
		case Bookmark:
			if s.Revision < last {
				bad(s, "a bookmark steps back from %d to %d", last, s.Revision)
			}
		default:
			if s.Revision <= last {
				bad(s, "%s of %s steps back from %d to %d", s.Type, s.Key, last, s.Revision)
			}
			events[s.Revision] = s
		}
		last = max(last, s.Revision)
		if len(spans) > 0 {
			spans[len(spans)-1].upTo = last
		}
	}
	for _, op := range ops {
		if op.Outcome != OK || op.Do == Read || op.Do == Create {
			continue
		}
		i := slices.IndexFunc(spans, func(s span) bool { return s.after < op.Revision && op.Revision <= s.upTo })
		if i < 0 {
			continue
		}
		switch s, found := events[op.Revision]; {
		case !found:
			out = append(out, Violation{"watch", op.Return, fmt.Sprintf("watcher %s: never saw revision %d, %s=%s acknowledged at %s, and has seen others up to %d", name, op.Revision, op.Key, op.Value, op.Return, spans[i].upTo)})
		case s.Key != op.Key || s.Value != op.Value:
			bad(s, "saw %s=%s with revision %d, which is of %s=%s", s.Key, s.Value, s.Revision, op.Key, op.Value)
		}
	}
	return out
}

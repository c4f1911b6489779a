package judge

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// checkTimeout bounds the search for a linearization of one key.
const checkTimeout = time.Minute

// register is one key with one value; none is the empty one.
func register() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return "" },
		Step: func(state, input, _ any) (bool, any) {
			op, value := input.(Op), state.(string)
			switch op.Do {
			case Read:
				return op.Value == value, value
			case Swap:
				return op.From == value, op.Value
			default:
				return true, op.Value
			}
		},
	}
}

// registers: each key is linearizable, by what its clients were told.
func registers(ops []Op) []Violation {
	var out []Violation
	byKey := map[string][]Op{}
	for _, op := range ops {
		if op.Do != Create {
			byKey[op.Key] = append(byKey[op.Key], op)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		relevant := relevantOps(byKey[key])
		if len(relevant) == 0 {
			continue
		}
		var history []porcupine.Operation
		last := time.Duration(0)
		for _, op := range relevant {
			end := int64(op.Return)
			if op.Outcome == Unknown {
				end = math.MaxInt64
			}
			last = max(last, op.Return)
			history = append(history, porcupine.Operation{ClientId: op.Client, Input: op, Call: int64(op.Call), Return: end})
		}
		switch porcupine.CheckOperationsTimeout(register(), history, checkTimeout) {
		case porcupine.Illegal:
			out = append(out, Violation{"linearizable", last, fmt.Sprintf("key %s: no order of its %d operations explains what they were told%s", key, len(history), suspect(relevant))})
		case porcupine.Unknown:
			out = append(out, Violation{"linearizable", last, fmt.Sprintf("key %s: not decided within %s (%d operations)", key, checkTimeout, len(history))})
		case porcupine.Ok:
		}
	}
	return out
}

// relevantOps leaves out what changes nothing: reads that failed, writes that were
// refused, and writes of an unknown outcome whose value nobody met. The last is
// exact, since each value is written once and a refused Swap is not judged (what
// refused it may be such a write).
func relevantOps(ops []Op) []Op {
	met := map[string]bool{}
	for _, op := range ops {
		switch op.Do {
		case Read:
			met[op.Value] = met[op.Value] || op.Outcome == OK
		case Swap:
			met[op.From] = met[op.From] || op.Outcome == OK || op.Outcome == Unknown
		}
	}
	var out []Op
	for _, op := range ops {
		if op.Outcome == OK || op.Outcome == Unknown && op.Do != Read && met[op.Value] {
			out = append(out, op)
		}
	}
	return out
}

// suspect names the first read that is plainly wrong, for who looks into it: one
// of a value that was overwritten, by acknowledged writes, before it was asked for.
func suspect(ops []Op) string {
	for _, r := range ops {
		if r.Do != Read || r.Value == "" {
			continue
		}
		i := slices.IndexFunc(ops, func(op Op) bool { return op.Do != Read && op.Value == r.Value })
		if i < 0 {
			return fmt.Sprintf("; client %d read %q through %s at %s, which nobody wrote", r.Client, r.Value, r.Via, r.Call)
		}
		w := ops[i]
		for _, over := range ops {
			if over.Do != Read && over.Outcome == OK && w.Outcome == OK && over.Call > w.Return && over.Return < r.Call {
				return fmt.Sprintf("; client %d read %q through %s at %s, which was overwritten by %q (acknowledged at %s)", r.Client, r.Value, r.Via, r.Call, over.Value, over.Return)
			}
		}
	}
	return ""
}

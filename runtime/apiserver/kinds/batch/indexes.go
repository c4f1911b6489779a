package batch

import (
	"fmt"
	"strconv"
	"strings"
)

// indexes is a list of indexes of a job, as intervals that rise ("1,3-5").
type indexes []interval

// interval is from its first to its last index, both of them included.
type interval struct{ first, last int32 }

// parseIndexes reads a list whose indexes are all below completions.
func parseIndexes(text string, completions int32) (indexes, error) {
	if text == "" {
		return nil, nil
	}
	var out indexes
	for part := range strings.SplitSeq(text, ",") {
		i, err := parseInterval(part, completions)
		if err != nil {
			return nil, err
		}
		if n := len(out); n > 0 && out[n-1].last >= i.first {
			return nil, fmt.Errorf("non-increasing order, previous: %d, current: %d", out[n-1].last, i.first)
		}
		out = append(out, i)
	}
	return out, nil
}

func parseInterval(text string, completions int32) (interval, error) {
	first, last, two := strings.Cut(text, "-")
	if strings.Contains(last, "-") {
		return interval{}, fmt.Errorf("the fragment %q violates the requirement that an index interval can have at most two parts separated by '-'", text)
	}
	a, err := parseIndex(first, completions)
	if err != nil || !two {
		return interval{a, a}, err
	}
	b, err := parseIndex(last, completions)
	if err == nil && a >= b {
		err = fmt.Errorf("non-increasing order, previous: %d, current: %d", a, b)
	}
	return interval{a, b}, err
}

func parseIndex(text string, completions int32) (int32, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		return 0, fmt.Errorf("cannot convert string to integer for index: %q", text)
	case n >= int64(completions):
		return 0, fmt.Errorf("too large index: %q", text)
	}
	return int32(n), nil //nolint:gosec // below completions, and what has a sign has a part too many
}

// total is the number of indexes.
func (x indexes) total() int32 {
	var n int32
	for _, i := range x {
		n += i.last - i.first + 1
	}
	return n
}

// overlap is the first index that is in both lists.
func (x indexes) overlap(other indexes) (int32, bool) {
	for len(x) > 0 && len(other) > 0 {
		a, b := x[0], other[0]
		if a.first <= b.last && b.first <= a.last {
			return max(a.first, b.first), true
		}
		if a.last < b.first {
			x = x[1:]
		} else {
			other = other[1:]
		}
	}
	return 0, false
}

package job

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// indexes is a set of completion indexes: ascending spans that do not touch. A
// job may have a hundred thousand of them.
type indexes []span

type span struct{ first, last int }

// parseIndexes reads "1,3-5,7". What is at or above the limit, or is no number,
// is left out.
func parseIndexes(text string, below int) indexes {
	var out indexes
	for _, part := range strings.Split(text, ",") {
		from, to, ranged := strings.Cut(part, "-")
		first, err := strconv.Atoi(from)
		if err != nil {
			continue
		}
		last := first
		if ranged {
			if last, err = strconv.Atoi(to); err != nil {
				continue
			}
		}
		if first < below && first <= last {
			out = append(out, span{first, min(last, below-1)})
		}
	}
	return out.merged()
}

func (s indexes) merged() indexes {
	slices.SortFunc(s, func(a, b span) int { return a.first - b.first })
	var out indexes
	for _, p := range s {
		if n := len(out); n > 0 && p.first <= out[n-1].last+1 {
			out[n-1].last = max(out[n-1].last, p.last)
			continue
		}
		out = append(out, p)
	}
	return out
}

// with is the set and more.
func (s indexes) with(more ...int) indexes {
	out := slices.Clone(s)
	for _, i := range more {
		out = append(out, span{i, i})
	}
	return out.merged()
}

func (s indexes) has(i int) bool {
	_, found := slices.BinarySearchFunc(s, i, func(p span, i int) int {
		switch {
		case p.last < i:
			return -1
		case p.first > i:
			return 1
		}
		return 0
	})
	return found
}

func (s indexes) count() int {
	n := 0
	for _, p := range s {
		n += p.last - p.first + 1
	}
	return n
}

// common counts what two sets share.
func (s indexes) common(other indexes) int {
	n := 0
	for i, j := 0, 0; i < len(s) && j < len(other); {
		n += max(0, min(s[i].last, other[j].last)-max(s[i].first, other[j].first)+1)
		if s[i].last < other[j].last {
			i++
		} else {
			j++
		}
	}
	return n
}

// String writes three and more neighbours as a range.
func (s indexes) String() string {
	var parts []string
	for _, p := range s {
		switch p.last - p.first {
		case 0:
			parts = append(parts, strconv.Itoa(p.first))
		case 1:
			parts = append(parts, strconv.Itoa(p.first), strconv.Itoa(p.last))
		default:
			parts = append(parts, fmt.Sprintf("%d-%d", p.first, p.last))
		}
	}
	return strings.Join(parts, ",")
}

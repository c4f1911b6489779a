package job

import (
	"math"
	"testing"
)

func TestIndexes(t *testing.T) {
	for _, c := range []struct {
		text  string
		below int
		want  string
		count int
	}{
		{"", 10, "", 0},
		{"1,3-5,7", 10, "1,3-5,7", 5},
		{"1,2", 10, "1,2", 2},
		{"1,2,3", 10, "1-3", 3},
		{"5,1-2,2-4", 10, "1-5", 5},
		{"1,3-9", 5, "1,3,4", 3}, // the job has shrunk
		{"x,4-2,3", 10, "3", 1},
	} {
		got := parseIndexes(c.text, c.below)
		if got.String() != c.want || got.count() != c.count {
			t.Errorf("%q below %d: %q with %d, want %q with %d", c.text, c.below, got, got.count(), c.want, c.count)
		}
	}
	s := parseIndexes("1,3-5,7", 10)
	for i, want := range []bool{false, true, false, true, true, true, false, true, false} {
		if s.has(i) != want {
			t.Errorf("has(%d) is %t", i, !want)
		}
	}
	if got := s.with(2, 9, 3).String(); got != "1-5,7,9" {
		t.Errorf("with 2, 9 and 3: %s", got)
	}
	if s.String() != "1,3-5,7" {
		t.Errorf("with changed the set to %s", s)
	}
	for text, want := range map[string]int{"": 0, "0-9": 5, "4,6-7": 2, "2,6": 0} {
		if got := s.common(parseIndexes(text, math.MaxInt)); got != want {
			t.Errorf("common with %q: %d, want %d", text, got, want)
		}
	}
}

package reconcile

import (
	"testing"
	"time"
)

func TestSooner(t *testing.T) {
	for _, c := range []struct{ a, b, want time.Duration }{{0, 0, 0}, {1, 0, 1}, {0, 2, 2}, {1, 2, 1}, {2, 1, 1}} {
		if got := Sooner(c.a, c.b); got != c.want {
			t.Errorf("of %d and %d %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

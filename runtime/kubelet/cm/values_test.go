package cm

import "testing"

func TestValues(t *testing.T) {
	for milli, want := range map[int64]uint64{0: 2, 1: 2, 100: 102, 1000: 1024, 2500: 2560, 1 << 40: 262144} {
		if got := Shares(milli); got != want {
			t.Errorf("Shares(%d) = %d, want %d", milli, got, want)
		}
	}
	for shares, want := range map[uint64]uint64{0: 1, 2: 1, 102: 17, 1024: 100, 262144: 10000, 1 << 40: 10000} {
		if got := Weight(shares); got != want {
			t.Errorf("Weight(%d) = %d, want %d", shares, got, want)
		}
	}
	for milli, want := range map[int64]int64{0: 0, 1: 1000, 500: 50_000, 1500: 150_000} {
		if got := Quota(milli); got != want {
			t.Errorf("Quota(%d) = %d, want %d", milli, got, want)
		}
	}
	const gi = 1 << 30
	for _, c := range []struct {
		guaranteed, bestEffort bool
		request                int64
		want                   int
	}{{true, false, gi, -997}, {false, true, 0, 1000}, {false, false, 0, 999}, {false, false, 4 * gi, 500}, {false, false, 8 * gi, 3}} {
		if got := OOMScoreAdj(c.guaranteed, c.bestEffort, c.request, 8*gi); got != c.want {
			t.Errorf("%+v gives %d", c, got)
		}
	}
}

package prober

import "testing"

// TestTally: + and - are results, with the verdict after each, and ! where it changed.
func TestTally(t *testing.T) {
	for _, c := range []struct {
		success, failure int32
		good             bool
		results, want    string
	}{
		{1, 1, false, "+-+", "G!B!G!"},
		{2, 3, false, "++--+---++", "BG!GGGGGB!BG!"},
		{1, 3, true, "+++---", "GGGGGB!"},
		{1, 3, true, "--+--+", "GGGGGG"},
		{1, 2, false, "----", "BB!BB"}, // what did not act on the first threshold does not hear again
		{3, 1, false, "++-+++", "BBB!BBG!"},
	} {
		ta := tally{successThreshold: c.success, failureThreshold: c.failure, good: c.good}
		got := ""
		for _, r := range c.results {
			verdict, changed := ta.add(r == '+')
			if verdict {
				got += "G"
			} else {
				got += "B"
			}
			if changed {
				got += "!"
			}
		}
		if got != c.want {
			t.Errorf("%d of success, %d of failure, %s: %s, want %s", c.success, c.failure, c.results, got, c.want)
		}
	}
}

func TestExhausted(t *testing.T) {
	ta := tally{successThreshold: 1, failureThreshold: 2, good: true}
	for i, want := range []bool{false, true, true} {
		ta.add(false)
		if ta.exhausted() != want {
			t.Errorf("after %d failures: %v", i+1, ta.exhausted())
		}
	}
	ta.add(true)
	if ta.exhausted() {
		t.Error("after a success")
	}
}

package prober

// tally turns single results into a verdict by the probe's thresholds. It is pure.
type tally struct {
	successThreshold, failureThreshold int32
	good                               bool // the verdict so far
	successes, failures                int32
}

// add counts a result and says whether the verdict changed. A failing verdict
// changes anew at each threshold, so that what did not act on it does.
func (t *tally) add(ok bool) (verdict, changed bool) {
	if ok {
		t.successes, t.failures = t.successes+1, 0
		if !t.good && t.successes >= t.successThreshold {
			t.good = true
			return true, true
		}
		return t.good, false
	}
	t.failures, t.successes = t.failures+1, 0
	if t.failures >= t.failureThreshold {
		changed = t.good || t.failures == t.failureThreshold
		t.good = false
		return false, changed
	}
	return t.good, false
}

// exhausted says whether the probe failed as often in a row as it may.
func (t *tally) exhausted() bool { return t.failures >= t.failureThreshold }

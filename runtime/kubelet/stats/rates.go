package stats

import "time"

// sample is the processor time of several things at a moment.
type sample struct {
	at  time.Time
	cpu map[string]time.Duration
}

// rates are computed between a look and the one before it.
type rates struct{ last sample }

// maxAge is how old a look may be for a rate since then to be one of now.
const maxAge = 2 * time.Minute

// begin takes up a look, and says whether another is needed a moment later: there is
// something in it that was not there before, or the one before was just now or long ago.
// What is gone is forgotten.
func (r *rates) begin(s sample) bool {
	age := s.at.Sub(r.last.at)
	again := age < sampling || age > maxAge
	for key := range s.cpu {
		if _, ok := r.last.cpu[key]; !ok {
			again = true
		}
	}
	if again {
		r.last = s
	}
	return again
}

// end are the rates at a look since the one before, in nanoseconds a second.
func (r *rates) end(s sample) map[string]*uint64 {
	out := map[string]*uint64{}
	for key, now := range s.cpu {
		before, ok := r.last.cpu[key]
		if seconds := s.at.Sub(r.last.at).Seconds(); ok && seconds > 0 && now >= before {
			rate := uint64(float64(now-before) / seconds)
			out[key] = &rate
		}
	}
	r.last = s
	return out
}

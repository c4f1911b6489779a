package patience

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// failing is a test that may fail.
type failing struct {
	testing.TB
	said string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.said = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// said is what a test fails with; "" when it passes.
func said(do func(testing.TB)) string {
	f, ended := &failing{}, make(chan struct{})
	go func() {
		defer close(ended)
		do(f)
	}()
	<-ended
	return f.said
}

func TestWhatComesIsWaitedFor(t *testing.T) {
	for name, tc := range map[string]struct {
		after time.Duration
		late  bool
	}{
		"at once":          {0, false},
		"within the limit": {Limit - time.Second, false},
		"beyond the limit": {Limit + time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				come := func() bool { return time.Since(begin) >= tc.after }
				for way, do := range map[string]func(testing.TB){
					"Until": func(t testing.TB) { Until(t, "it", come) },
					"Eventually": func(t testing.TB) {
						Eventually(t, "it", func() error {
							if !come() {
								return errors.New("it is away")
							}
							return nil
						})
					},
					"Receive": func(t testing.TB) {
						from := make(chan int, 1)
						time.AfterFunc(tc.after-time.Since(begin), func() { from <- 7 })
						if got := Receive(t, "it", from); got != 7 {
							t.Fatalf("it is %d", got)
						}
					},
				} {
					begin = time.Now()
					if got := said(do); (got != "") != tc.late || tc.late && !strings.HasPrefix(got, "it: ") {
						t.Errorf("%s: after %s it says %q", way, tc.after, got)
					}
				}
			})
		})
	}
}

// A machine that gave the test no time has not shown that it does not come.
func TestTheLastLookIsAfterTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		if got := said(func(t testing.TB) {
			Until(t, "it", func() bool {
				looks++
				time.Sleep(2 * Limit) // it is not run
				return looks == 2
			})
		}); got != "" {
			t.Errorf("it says %q", got)
		}
	})
}

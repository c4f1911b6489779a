package csi

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestTheProcessDiesAtEachStep of mounting and unmounting. What comes after it, with the pod
// still there or gone, on the server as it was or started anew, ends right.
func TestTheProcessDiesAtEachStep(t *testing.T) {
	for name, after := range map[string]func(s *server, m Mount) error{
		"the pod is there": func(s *server, m Mount) error {
			if err := s.Mount(s.Context(), m); err != nil {
				return err
			}
			if at, ok := s.Mounted(m.Dir); !ok || s.published[at.Path] != "h" {
				s.Errorf("mounted is %v at %+v", s.published, at)
			}
			return errors.Join(s.Unmount(s.Context(), m.Dir), s.unstageAll())
		},
		"the pod is gone": func(s *server, m Mount) error {
			return errors.Join(s.Unmount(s.Context(), m.Dir), s.unstageAll())
		},
	} {
		for _, restart := range []string{"process", "server"} {
			for _, during := range []string{"mount", "unmount"} {
				t.Run(name+" "+restart+" "+during, func(t *testing.T) {
					for n := 0; ; n++ {
						s := newServer(t)
						m := s.mountOf("a")
						if during == "unmount" {
							if err := s.Mount(t.Context(), m); err != nil {
								t.Fatal(err)
							}
						}
						s.steps = n
						if during == "mount" {
							_ = s.Mount(t.Context(), m) // it dies
						} else if s.Unmount(t.Context(), m.Dir) == nil {
							_ = s.unstageAll()
						}
						died := s.died
						if restart == "process" {
							s.restart(true)
						} else {
							s.reboot()
						}
						if err := after(s, m); err != nil {
							t.Fatalf("after %d steps: %v", n, err)
						}
						s.clean("afterwards")
						if t.Failed() {
							t.Fatalf("after %d steps", n)
						}
						if !died {
							if n < 6 {
								t.Fatalf("there are %d steps only", n)
							}
							return
						}
					}
				})
			}
		}
	}
}

// TestFaultsOfTheDriver: whatever call fails, before or after it has done what it is for, the
// next attempts end right.
func TestFaultsOfTheDriver(t *testing.T) {
	for _, call := range []string{"stage", "publish", "unpublish", "unstage"} {
		for _, code := range []codes.Code{codes.Internal, codes.DeadlineExceeded, codes.Unavailable, codes.Aborted} {
			for _, done := range []bool{false, true} {
				if done && isFinal(status.Error(code, "")) {
					continue // nothing was done then
				}
				for _, again := range []bool{false, true} {
					s := newServer(t)
					m, failures := s.mountOf("a"), 2
					s.fault = func(c string) (before, after error) {
						if c != call || failures == 0 {
							return nil, nil
						}
						failures--
						err := status.Error(code, "fault")
						if done {
							return nil, err
						}
						return err, nil
					}
					mounts := call == "stage" || call == "publish"
					err := s.Mount(t.Context(), m)
					if (err != nil) != mounts || mounts && !strings.Contains(err.Error(), "fault") {
						t.Fatalf("%s %s: %v", call, code, err)
					}
					if _, ok := s.Mounted(m.Dir); ok == mounts {
						t.Errorf("%s %s: mounted %t", call, code, ok)
					}
					if again && mounts {
						for s.Mount(t.Context(), m) != nil {
						}
					}
					for n := 0; n < 3 && (len(s.Volumes.published) > 0 || s.orphans.Len() > 0); n++ {
						if s.Unmount(t.Context(), m.Dir) == nil && s.unstageAll() != nil {
							s.orphans.Add(keyOf(driverName, "h"))
						}
					}
					s.clean(call + " " + code.String())
					if t.Failed() {
						t.Fatalf("%s %s, done %t, again %t", call, code, done, again)
					}
				}
			}
		}
	}
}

// TestWhatIsMountedOutlivesTheDriver and the process: a pod that runs needs neither.
func TestWhatIsMountedOutlivesTheDriver(t *testing.T) {
	s := newServer(t)
	m := s.mountOf("a")
	if err := s.Mount(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	s.restart(false)
	if err := s.Mount(t.Context(), m); err != nil || len(s.publishes) != 1 || !s.Known(m.Dir) {
		t.Errorf("%v, %d publishes", err, len(s.publishes))
	}
	const missing = "driver name csi.example.com not found in the list of registered CSI drivers"
	if err := s.Unmount(t.Context(), m.Dir); err == nil || err.Error() != missing {
		t.Errorf("unmounted without the driver: %v", err)
	}
	other := s.mountOf("b")
	if err := s.Mount(t.Context(), other); err == nil || err.Error() != missing || s.Known(other.Dir) {
		t.Errorf("mounted without the driver: %v", err)
	}
	s.register()
	if err := errors.Join(s.Unmount(t.Context(), m.Dir), s.Unmount(t.Context(), other.Dir)); err != nil {
		t.Fatal(err)
	}
	s.restart(false) // with the volume still staged
	if err := s.unstageAll(); err == nil {
		t.Error("unstaged without the driver")
	}
	s.register()
	if err := s.unstageAll(); err != nil {
		t.Error(err)
	}
	s.clean("afterwards")
}

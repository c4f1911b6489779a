package services

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// named is a service with an address and one node port.
func named(name, uid, ip string, nodePort int32) corev1.Service {
	return corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, UID: types.UID(uid)},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, ClusterIP: ip, Ports: []corev1.ServicePort{port(80, "TCP", nodePort)}},
	}
}

func listing(services ...corev1.Service) func(context.Context) ([]corev1.Service, error) {
	return func(context.Context) ([]corev1.Service, error) { return services, nil }
}

func TestRepairOnce(t *testing.T) {
	a, b := named("a", "1", "10.0.0.2", 30001), named("b", "2", "10.0.0.3", 30002)
	full := map[string]string{"ip/10.0.0.2": "team/a/1", "port/30001": "team/a/1", "ip/10.0.0.3": "team/b/2", "port/30002": "team/b/2"}
	with := func(key, owner string) map[string]string {
		m := maps.Clone(full)
		if m[key] = owner; owner == "" {
			delete(m, key)
		}
		return m
	}
	one := func(key, owner string) map[string]string { return map[string]string{key: owner} }
	tests := []struct {
		name           string
		held, suspects map[string]string
		want, orphans  map[string]string
		warned         bool
	}{
		{"they agree", full, nil, full, nil, false},
		{"a reservation is missing", with("port/30002", ""), nil, full, nil, false},
		{"an address is missing", with("ip/10.0.0.2", ""), nil, full, nil, false},
		{"a service is missing, at the first look", with("ip/10.0.0.4", "team/c/3"), nil, with("ip/10.0.0.4", "team/c/3"), one("ip/10.0.0.4", "team/c/3"), false},
		{"and at the second", with("ip/10.0.0.4", "team/c/3"), one("ip/10.0.0.4", "team/c/3"), full, one("ip/10.0.0.4", "team/c/3"), false},
		{"another's by then", with("ip/10.0.0.4", "team/d/4"), one("ip/10.0.0.4", "team/c/3"), with("ip/10.0.0.4", "team/d/4"), one("ip/10.0.0.4", "team/d/4"), false},
		{"it has come since", full, one("ip/10.0.0.2", "team/a/1"), full, nil, false},
		{"two have the same", with("port/30002", "team/a/1"), nil, with("port/30002", "team/a/1"), one("port/30002", "team/a/1"), true},
		{"an older one of the name", with("port/30002", "team/b/0"), nil, with("port/30002", "team/b/0"), one("port/30002", "team/b/0"), true},
		{"an older one, at the second look", with("port/30002", "team/b/0"), one("port/30002", "team/b/0"), with("port/30002", ""), one("port/30002", "team/b/0"), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			l := newMemory(tt.held)
			orphans, err := allocator(t, l, sequence(t, 0)).repair(t.Context(), listing(a, b), tt.suspects, slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(l.held, tt.want) || !maps.Equal(orphans, tt.orphans) {
				t.Errorf("held %v, orphans %v", l.held, orphans)
			}
			if strings.Contains(log.String(), "level=WARN") != tt.warned {
				t.Errorf("log %q", log.String())
			}
		})
	}
}

// One look after the other: what a service that is gone held, and another has, is
// the other's in the end.
func TestRepairConverges(t *testing.T) {
	l := newMemory(map[string]string{"ip/10.0.0.2": "team/gone/0"})
	a, log := allocator(t, l, sequence(t, 0)), slog.New(slog.DiscardHandler)
	var orphans map[string]string
	for range 3 {
		var err error
		if orphans, err = a.repair(t.Context(), listing(named("a", "1", "10.0.0.2", 30001)), orphans, log); err != nil {
			t.Fatal(err)
		}
	}
	if want := map[string]string{"ip/10.0.0.2": "team/a/1", "port/30001": "team/a/1"}; !maps.Equal(l.held, want) || len(orphans) != 0 {
		t.Errorf("held %v, orphans %v", l.held, orphans)
	}
}

// The ledger is read before the services, or a service made in between would look
// like one that is gone.
func TestRepairReadsTheLedgerFirst(t *testing.T) {
	l := newMemory(nil)
	list := func(context.Context) ([]corev1.Service, error) {
		if len(l.calls) != 1 || l.calls[0] != "all" {
			t.Errorf("listed after %v", l.calls)
		}
		return nil, nil
	}
	if _, err := allocator(t, l, sequence(t, 0)).repair(t.Context(), list, nil, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
}

func TestRepairWithoutAnswers(t *testing.T) {
	away := errors.New("no answer")
	suspects := map[string]string{"ip/10.0.0.4": "team/c/3", "ip/10.0.0.5": "team/c/3"}
	services := listing(named("a", "1", "10.0.0.2", 30001))
	tests := []struct {
		name    string
		failing string
		list    func(context.Context) ([]corev1.Service, error)
		held    []string
	}{
		{"the ledger", "all", services, []string{"ip/10.0.0.4", "ip/10.0.0.5"}},
		{"the services", "", func(context.Context) ([]corev1.Service, error) { return nil, away }, []string{"ip/10.0.0.4", "ip/10.0.0.5"}},
		// The rest is repaired all the same.
		{"a reservation", "reserve ip/10.0.0.2", services, []string{"port/30001"}},
		{"a release", "release ip/10.0.0.4", services, []string{"ip/10.0.0.2", "ip/10.0.0.4", "port/30001"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newMemory(suspects)
			l.failing = func(call string) error {
				if call == tt.failing {
					return away
				}
				return nil
			}
			if _, err := allocator(t, l, sequence(t, 0)).repair(t.Context(), tt.list, suspects, slog.New(slog.DiscardHandler)); !errors.Is(err, away) {
				t.Errorf("%v", err)
			}
			if got := strings.Join(l.names(), " "); got != strings.Join(tt.held, " ") {
				t.Errorf("held %s", got)
			}
		})
	}
}

// An orphan is released at the second look that succeeds, three minutes on.
func TestRepairLooksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newMemory(map[string]string{"ip/10.0.0.4": "team/c/3"})
		var failing atomic.Bool
		l.failing = func(string) error {
			if failing.Load() {
				return errors.New("no answer")
			}
			return nil
		}
		a := allocator(t, l, sequence(t, 0))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			a.Repair(ctx, listing(named("a", "1", "10.0.0.2", 30001)), slog.New(slog.DiscardHandler))
			close(done)
		}()
		holds := func(want string) {
			t.Helper()
			synctest.Wait()
			if got := strings.Join(l.names(), " "); got != want {
				t.Errorf("held %s", got)
			}
		}
		const before, after = "ip/10.0.0.2 ip/10.0.0.4 port/30001", "ip/10.0.0.2 port/30001"
		holds(before)
		failing.Store(true)
		time.Sleep(3 * time.Minute)
		holds(before)
		failing.Store(false)
		time.Sleep(3*time.Minute - time.Second)
		holds(before)
		time.Sleep(time.Second)
		holds(after)
		cancel()
		<-done
	})
}

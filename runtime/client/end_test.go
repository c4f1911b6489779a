package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/gantry-run/gantry/runtime/config"
)

// refused is a network on which every master's process is gone.
type refused struct{}

func (refused) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("%w: a:1: %w", ErrNoMaster, syscall.ECONNREFUSED)
}

func TestAnInformerEndsWhileNoMasterAccepts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDialer([]string{"a:1"}, (&network{}).dial)
		c, err := kubernetes.NewForConfig(&rest.Config{Host: "https://gantry", Transport: judge{d, true, refused{}}, QPS: -1})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		lw := cache.NewListWatchFromClient(c.CoreV1().RESTClient(), "nodes", "", fields.Everything())
		reflector := cache.NewReflector(lw, &corev1.Node{}, cache.NewStore(cache.MetaNamespaceKeyFunc), 0)
		ended := make(chan struct{})
		go func() { reflector.RunWithContext(ctx); close(ended) }()
		time.Sleep(10 * time.Second)
		cancel()
		told := time.Now()
		<-ended
		if took := time.Since(told); took != 0 {
			t.Errorf("it ended %s after it was told to", took)
		}
	})
}

// leases is an API that keeps one Lease, and says nothing any more from a moment on.
type leases struct {
	silent, gone atomic.Bool
	mu           sync.Mutex
	stored       []byte
}

func (l *leases) RoundTrip(req *http.Request) (*http.Response, error) {
	if l.gone.Load() {
		return refused{}.RoundTrip(req)
	}
	if l.silent.Load() {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	code := http.StatusOK
	switch {
	case req.Method != http.MethodGet:
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		l.stored = body
	case l.stored == nil:
		code = http.StatusNotFound
	}
	return &http.Response{
		StatusCode: code, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(l.stored)), Request: req,
	}, nil
}

func (l *leases) holder(t *testing.T) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var stored coordinationv1.Lease
	if err := json.Unmarshal(l.stored, &stored); err != nil {
		t.Fatal(err)
	}
	return *stored.Spec.HolderIdentity
}

func (l *leases) client(t *testing.T) kubernetes.Interface {
	c, err := kubernetes.NewForConfig(&rest.Config{Host: "https://gantry", Transport: l, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: runtime.ContentTypeJSON}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// lead leads until work is told to end, and then for as long as work drains.
func lead(ctx context.Context, t *testing.T, api *leases, drains time.Duration) (told, ended time.Time, err error) {
	err = Lead(ctx, api.client(t), "x", production(), func(string) {}, func(work context.Context) error {
		<-work.Done()
		told = time.Now()
		time.Sleep(drains)
		return nil
	})
	return told, time.Now(), err
}

// production is the election of the processes.
func production() config.LeaderElection {
	return config.LeaderElection{
		Identity: "m1", LeaseDuration: metav1.Duration{Duration: 15 * time.Second},
		RenewDeadline: metav1.Duration{Duration: 10 * time.Second}, RetryPeriod: metav1.Duration{Duration: 2 * time.Second},
	}
}

func TestALeaderEndsSoonWhileTheAPISaysNothing(t *testing.T) {
	for what, fail := range map[string]func(*leases){
		"silent": func(l *leases) { l.silent.Store(true) },
		"gone":   func(l *leases) { l.gone.Store(true) },
	} {
		synctest.Test(t, func(t *testing.T) {
			api := &leases{}
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Minute, func() { fail(api); cancel() })
			told, ended, err := lead(ctx, t, api, 3*time.Second)
			if took := ended.Sub(told); err != nil || took > 5*time.Second {
				t.Errorf("%s: ended %s after it was told to: %v", what, took, err)
			}
		})
	}
}

func TestALostLeaseIsNotGivenBackWhileItsWorkEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &leases{}
		began := time.Now()
		time.AfterFunc(time.Minute, func() { api.silent.Store(true) })
		// The API is back before the leader gives up: giving back would succeed.
		time.AfterFunc(time.Minute+9*time.Second, func() { api.silent.Store(false) })
		told, ended, err := lead(t.Context(), t, api, 3*time.Second)
		if !errors.Is(err, ErrLostLease) {
			t.Errorf("got %v", err)
		}
		// The last renewal is at most a retry before the silence, and others wait for the
		// lease's duration from then on.
		if latest := began.Add(time.Minute + 12*time.Second); told.After(latest) || ended.After(latest.Add(3*time.Second)) {
			t.Errorf("work was told to end %s after the API was silent, and ended after %s", told.Sub(began)-time.Minute, ended.Sub(began)-time.Minute)
		}
		if h := api.holder(t); h != "m1" {
			t.Errorf("it was given back to %q", h)
		}
	})
}

package client

import (
	"context"
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/gantry-run/gantry/runtime/config"
)

func election() config.LeaderElection {
	return config.LeaderElection{
		Identity: "m1", LeaseDuration: metav1.Duration{Duration: 3 * time.Second},
		RenewDeadline: metav1.Duration{Duration: 2 * time.Second}, RetryPeriod: metav1.Duration{Duration: 50 * time.Millisecond},
	}
}

func TestLeaseIsHeldUntilWorkHasDrained(t *testing.T) {
	c := fake.NewClientset()
	ctx, cancel := context.WithCancel(t.Context())
	holder := func() string {
		l, err := c.CoordinationV1().Leases(metav1.NamespaceSystem).Get(t.Context(), "x", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return *l.Spec.HolderIdentity
	}
	err := Lead(ctx, c, "x", election(), func(string) {}, func(work context.Context) error {
		cancel()
		<-work.Done()
		time.Sleep(300 * time.Millisecond) // several renewals
		if h := holder(); h != "m1" {
			t.Errorf("while work drains the lease is %q's", h)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if h := holder(); h != "" {
		t.Errorf("after the end the lease is %q's", h)
	}
}

func TestLeadReturnsTheErrorOfWork(t *testing.T) {
	broken := errors.New("broken")
	err := Lead(t.Context(), fake.NewClientset(), "x", election(), func(string) {}, func(context.Context) error { return broken })
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestLeadEndsWhileWaiting(t *testing.T) {
	c := fake.NewClientset()
	first, stop := context.WithCancel(t.Context())
	defer stop()
	leading := make(chan struct{})
	go Lead(first, c, "x", election(), func(string) {}, func(ctx context.Context) error { close(leading); <-ctx.Done(); return nil }) //nolint:errcheck // ends with the test
	<-leading
	second := election()
	second.Identity = "m2"
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := Lead(ctx, c, "x", second, func(string) {}, func(context.Context) error { t.Error("two lead"); return nil })
	if err != nil {
		t.Errorf("a standby's end: %v", err)
	}
}

package client

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// All of it is by a clock that stands still while somebody works: no lease is lost to a
// machine that is busy.
func TestLeaseIsHeldUntilWorkHasDrained(t *testing.T) {
	synctest.Test(t, leaseIsHeldUntilWorkHasDrained)
}

func leaseIsHeldUntilWorkHasDrained(t *testing.T) {
	c := fake.NewClientset()
	ctx, cancel := context.WithCancel(t.Context())
	holder := func() string {
		l, err := c.CoordinationV1().Leases(metav1.NamespaceSystem).Get(t.Context(), "x", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return *l.Spec.HolderIdentity
	}
	err := Lead(ctx, c, "x", production(), func(string) {}, func(work context.Context) error {
		cancel()
		<-work.Done()
		time.Sleep(5 * production().LeaseDuration.Duration) // renewed all the while
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
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		err := Lead(t.Context(), fake.NewClientset(), "x", production(), func(string) {}, func(context.Context) error { return broken })
		if !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	})
}

func TestLeadEndsWhileWaiting(t *testing.T) { synctest.Test(t, leadEndsWhileWaiting) }

func leadEndsWhileWaiting(t *testing.T) {
	c := fake.NewClientset()
	first, stop := context.WithCancel(t.Context())
	defer stop()
	leading := make(chan struct{})
	go Lead(first, c, "x", production(), func(string) {}, func(ctx context.Context) error { close(leading); <-ctx.Done(); return nil }) //nolint:errcheck // ends with the test
	<-leading
	second := production()
	second.Identity = "m2"
	ctx, cancel := context.WithTimeout(t.Context(), 5*second.LeaseDuration.Duration)
	defer cancel()
	err := Lead(ctx, c, "x", second, func(string) {}, func(context.Context) error { t.Error("two lead"); return nil })
	if err != nil {
		t.Errorf("a standby's end: %v", err)
	}
}

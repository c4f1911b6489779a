package renewal

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/testutil"
	testclock "k8s.io/utils/clock/testing"

	"github.com/gantry-run/gantry/runtime/config"
)

func TestTheLoopSleepsForASmallPartOfALifetime(t *testing.T) {
	for lifetime, want := range map[time.Duration]time.Duration{
		year: 6 * time.Hour, 24 * time.Hour: time.Hour, config.MinCertificateLifetime: 25 * time.Second, time.Second: minPause,
	} {
		if got := longestSleep(lifetime); got != want {
			t.Errorf("%s: %s instead of %s", lifetime, got, want)
		}
	}
}

// A certificate that nobody has ever read has no end to tell of, but failures.
func TestTheFailuresOfEachCertificateAreTold(t *testing.T) {
	a, files := newAuthority(t, "ca", today.Add(2*year), year)
	clock := testclock.NewFakeClock(today)
	dir := t.TempDir()
	c, key := kubelet(t, a, 1)
	save(t, filepath.Join(dir, "kubelet.pem"), c, key)
	r := &Renewer{
		Leaves: []Leaf{{Name: "kubelet", File: filepath.Join(dir, "kubelet.pem")}, {Name: "proxy", File: filepath.Join(dir, "proxy.pem")}},
		Signer: Local{Authorities: []config.KeyPair{files}, Lifetime: year, Clock: clock}, Lifetime: year,
		Clock: clock, Log: slog.New(slog.DiscardHandler), Expiry: NewExpiry("kubelet", clock),
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	for !clock.HasWaiters() {
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done
	reg := metrics.NewKubeRegistry()
	reg.CustomMustRegister(r.Expiry)
	if err := testutil.GatherAndCompare(reg, strings.NewReader(`# HELP gantry_certificate_renewal_errors_total [ALPHA] Failed renewals of a certificate of this server.
# TYPE gantry_certificate_renewal_errors_total counter
gantry_certificate_renewal_errors_total{certificate="kubelet"} 0
gantry_certificate_renewal_errors_total{certificate="proxy"} 1
`), "gantry_certificate_renewal_errors_total"); err != nil {
		t.Error(err)
	}
}

package renewal

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/testutil"
	testclock "k8s.io/utils/clock/testing"

	"github.com/gantry-run/gantry/runtime/config"
)

// signer signs, or fails, and tells when it was asked.
type signer struct {
	Local
	clock *testclock.FakeClock

	mu    sync.Mutex
	fails int
	asked []time.Time
}

func (s *signer) Sign(ctx context.Context, old *x509.Certificate, oldKey, key crypto.Signer) (*x509.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, s.clock.Now())
	if s.fails > 0 {
		s.fails--
		return nil, errors.New("no answer")
	}
	return s.Local.Sign(ctx, old, oldKey, key)
}

// renewing runs a renewer of one certificate of an hour for so long, minute by minute.
func renewing(t *testing.T, s *signer, file string, lifetime, d time.Duration, each func(now time.Time)) *Renewer {
	t.Helper()
	r := &Renewer{
		Leaves: []Leaf{{Name: "kubelet", File: file}}, Signer: s, Lifetime: lifetime, Clock: s.clock, Log: slog.New(slog.DiscardHandler), Expiry: NewExpiry("kubelet", s.clock),
	}
	r.Expiry.watch("kubelet")
	resume := map[string]time.Time{}
	next := today
	for end := today.Add(d); s.clock.Now().Before(end); s.clock.Step(10 * time.Second) {
		if !s.clock.Now().Before(next) {
			next = r.tend(t.Context(), r.Leaves[0], resume)
			if next.Before(s.clock.Now()) {
				t.Fatalf("at %s it is due at %s", s.clock.Now(), next)
			}
		}
		each(s.clock.Now())
	}
	return r
}

func save(t *testing.T, file string, c *x509.Certificate, key crypto.Signer) {
	t.Helper()
	data, err := bundle(encode("CERTIFICATE", c.Raw), key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, data)
}

func TestCertificatesNeverEnd(t *testing.T) {
	for what, fails := range map[string]int{"all goes well": 0, "some fail": 8} {
		t.Run(what, func(t *testing.T) {
			a, files := newAuthority(t, "ca", today.Add(2*year), time.Hour)
			clock := testclock.NewFakeClock(today)
			s := &signer{Local: Local{Authorities: []config.KeyPair{files}, Lifetime: time.Hour, Clock: clock}, clock: clock, fails: fails}
			file := filepath.Join(t.TempDir(), "kubelet.pem")
			c, key := kubelet(t, a, 1)
			save(t, file, c, key)
			serials := map[string]bool{}
			r := renewing(t, s, file, time.Hour, 24*time.Hour, func(now time.Time) {
				c, _, err := readLeaf(file)
				if err != nil || now.After(c.NotAfter) {
					t.Fatalf("at %s: it ends at %v: %v", now, c.NotAfter, err)
				}
				serials[c.SerialNumber.String()] = true
			})
			if n := len(s.asked) - fails; n < 24*60/45 || n > 24*60/30 || len(serials) != n+1 {
				t.Errorf("asked %d times, %d certificates", len(s.asked), len(serials))
			}
			want := map[int]string{0: "gantry_certificate_renewal_errors_total{certificate=\"kubelet\"} 0", 8: "gantry_certificate_renewal_errors_total{certificate=\"kubelet\"} 8"}[fails]
			reg := metrics.NewKubeRegistry()
			reg.CustomMustRegister(r.Expiry)
			if err := testutil.GatherAndCompare(reg, strings.NewReader(
				"# HELP gantry_certificate_renewal_errors_total [ALPHA] Failed renewals of a certificate of this server.\n# TYPE gantry_certificate_renewal_errors_total counter\n"+want+"\n"),
				"gantry_certificate_renewal_errors_total"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestACertificateIsRenewedAtOnceWhereLifetimesBecameShorter(t *testing.T) {
	a, files := newAuthority(t, "ca", today.Add(2*year), year)
	clock := testclock.NewFakeClock(today)
	s := &signer{Local: Local{Authorities: []config.KeyPair{files}, Lifetime: time.Hour, Clock: clock}, clock: clock}
	file := filepath.Join(t.TempDir(), "kubelet.pem")
	c, key := kubelet(t, a, 1)
	save(t, file, c, key)
	renewing(t, s, file, time.Hour, time.Minute, func(time.Time) {})
	if c, _, err := readLeaf(file); err != nil || !c.NotAfter.Equal(today.Add(time.Hour)) {
		t.Errorf("it ends at %v: %v", c.NotAfter, err)
	}
}

// An apply may write a certificate that says more while ours is being signed.
func TestWhatSomebodyElseWroteStays(t *testing.T) {
	a, files := newAuthority(t, "ca", today.Add(2*year), time.Hour)
	clock := testclock.NewFakeClock(today.Add(50 * time.Minute))
	file := filepath.Join(t.TempDir(), "kubelet.pem")
	c, key := kubelet(t, a, 1)
	save(t, file, c, key)
	theirs, theirKey := kubelet(t, a, 2)
	r := &Renewer{Leaves: []Leaf{{Name: "kubelet", File: file}}, Lifetime: time.Hour, Clock: clock, Log: slog.New(slog.DiscardHandler), Expiry: NewExpiry("kubelet", clock)}
	r.Signer = signerFunc(func(ctx context.Context, old *x509.Certificate, oldKey, key crypto.Signer) (*x509.Certificate, error) {
		save(t, file, theirs, theirKey)
		return Local{Authorities: []config.KeyPair{files}, Lifetime: time.Hour, Clock: clock}.Sign(ctx, old, oldKey, key)
	})
	r.tend(t.Context(), r.Leaves[0], map[string]time.Time{})
	if c, _, err := readLeaf(file); err != nil || !c.Equal(theirs) {
		t.Errorf("it has serial %s: %v", c.SerialNumber, err)
	}
}

type signerFunc func(ctx context.Context, old *x509.Certificate, oldKey, key crypto.Signer) (*x509.Certificate, error)

func (f signerFunc) Sign(ctx context.Context, old *x509.Certificate, oldKey, key crypto.Signer) (*x509.Certificate, error) {
	return f(ctx, old, oldKey, key)
}

func TestAFileIsReplacedAsItWas(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "x.pem")
	if err := replaceFile(file, []byte("new")); err == nil {
		t.Error("replaced what is not there")
	}
	write(t, file, []byte("old"))
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(file, []byte("new")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "new" || info.Mode().Perm() != 0o640 {
		t.Errorf("%q, mode %o: %v", data, info.Mode().Perm(), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left are %v", left)
	}
}

func TestACertificateIsLentToTheGroupOfItsProcess(t *testing.T) {
	gids := []int{os.Getegid()} // who is not root gives its own group only
	if os.Geteuid() == 0 {
		gids = []int{61184, 61185}
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "dns.pem")
	group := func() uint32 {
		t.Helper()
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Gid
	}
	write(t, file, []byte("x"))
	run := filepath.Join(dir, "run")
	for _, of := range []string{"", run} {
		if err := lend(file, of); err != nil || group() != uint32(os.Getegid()) {
			t.Errorf("to that of %q: %d, %v", of, group(), err)
		}
	}
	if err := os.Mkdir(run, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, gid := range gids {
		if err := os.Chown(run, -1, gid); err != nil {
			t.Fatal(err)
		}
		if err := lend(file, run); err != nil || group() != uint32(gid) {
			t.Errorf("group %d: %v", group(), err)
		}
	}
	// One that is lent already is left as it is.
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	err := lend(file, run)
	if info, statErr := os.Stat(file); err != nil || statErr != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("lent again: %v, %v, %v", info, err, statErr)
	}
	if err := replaceFile(file, []byte("y")); err != nil || group() != uint32(gids[len(gids)-1]) {
		t.Errorf("renewed, it has group %d: %v", group(), err)
	}
	if err := lend(filepath.Join(dir, "none"), run); err == nil {
		t.Error("lent what is not there")
	}
}

package renewal

import (
	"crypto/x509"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/runtime/config"
)

// What comes back has to be of the key that was made, of the same name and of the
// cluster's authority, before anything is replaced by it.
func TestWhatIsSignedIsLookedAt(t *testing.T) {
	a, files := newAuthority(t, "ca", today.Add(10*year), year)
	b, _ := newAuthority(t, "other", today.Add(10*year), year)
	old, _ := kubelet(t, a, 1)
	good, key := kubelet(t, a, 2)
	other, otherKey := a.leaf(t, 3, "system:node:w2", []string{"system:nodes"}, "w2")
	foreign, foreignKey := kubelet(t, b, 4)
	s := Remote{CA: files}
	for what, tc := range map[string]struct {
		err  error
		want string
	}{
		"as it should be":     {s.check(good, old, key), ""},
		"another key's":       {s.check(good, old, newKey(t)), "it is of another key"},
		"no key":              {s.check(&x509.Certificate{}, old, key), "it is of another key"},
		"another name's":      {s.check(other, old, otherKey), "it is of CN=system:node:w2,O=system:nodes instead of CN=system:node:w1,O=system:nodes"},
		"another authority's": {s.check(foreign, old, foreignKey), "x509: "},
		"no authority":        {Remote{}.check(good, old, key), "no such file"},
	} {
		if (tc.err == nil) != (tc.want == "") || tc.err != nil && !strings.Contains(tc.err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", what, tc.err, tc.want)
		}
	}
}

// A certificate is as long as it should be with the skew of clocks at both ends.
func TestALifetimeAllowsForTheSkewOfClocks(t *testing.T) {
	for more, atOnce := range map[time.Duration]bool{0: false, 2 * config.ClockSkew: false, 2*config.ClockSkew + time.Second: true} {
		c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: today, NotAfter: today.Add(time.Hour + more)}
		if got := Due(c, time.Hour); got.Equal(today) != atOnce {
			t.Errorf("with %s more it is due on %s", more, got)
		}
	}
}

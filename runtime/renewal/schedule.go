package renewal

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"time"

	"github.com/gantry-run/gantry/runtime/config"
)

// Due is when a certificate is to be renewed: when between a third and 5/12 of its
// lifetime is left. Where in between depends on its serial number, so that those that
// were signed together are not renewed together, and none at another time because a
// process started anew. One that lives for longer than certificates should is due at
// once.
func Due(c *x509.Certificate, lifetime time.Duration) time.Time {
	has := c.NotAfter.Sub(c.NotBefore)
	if has > lifetime+2*config.ClockSkew {
		return c.NotBefore
	}
	has = min(has, lifetime)
	sum := sha256.Sum256(c.SerialNumber.Bytes())
	spread := has / 12
	early := time.Duration(float64(spread) * (float64(binary.BigEndian.Uint32(sum[:])) / (1 << 32)))
	return c.NotAfter.Add(-has/3 - early)
}

// Pauses of the renewal of one certificate, and of the loop.
const (
	// failedPause is between two tries where lifetimes are long; with short ones it is
	// a part of what time is left.
	failedPause = 10 * time.Minute
	minPause    = 5 * time.Second
)

// longestSleep bounds how long a file that was replaced by somebody else, or a clock
// that was set, goes unnoticed: a small part of the time that is left when a certificate
// is due.
func longestSleep(lifetime time.Duration) time.Duration {
	return min(6*time.Hour, max(lifetime/24, minPause))
}

// retryPause is how long a failed renewal waits: 20 tries before the certificate ends
// are enough of them.
func retryPause(c *x509.Certificate, now time.Time) time.Duration {
	return min(max(c.NotAfter.Sub(now)/20, minPause), failedPause)
}

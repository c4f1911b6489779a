package host

import (
	"bytes"
	"fmt"
	"testing"
)

// FuzzParseFacts: whatever a host prints beside its facts (a login shell that greets,
// a line of a megabyte) takes none of them away.
func FuzzParseFacts(f *testing.F) {
	f.Add([]byte("welcome\n"), "Debian", "10.0.0.1", int64(4), uint16(22))
	f.Add([]byte("listen=zz\nlisten=\ncpus=x\n=\n"), "", "", int64(-1), uint16(0))
	f.Add(append(bytes.Repeat([]byte("x"), 1<<17), '\n'), "a=b", "127.0.0.1", int64(1)<<62, uint16(65535))
	f.Fuzz(func(t *testing.T, noise []byte, os, address string, cpus int64, port uint16) {
		if bytes.ContainsAny([]byte(os+address), "\r\n") {
			t.Skip("one line each")
		}
		out := fmt.Appendf(nil, "%s\nos=%s\ncpus=%d\naddress=%s\nlisten=%04X\nbound=%04X\n", noise, os, cpus, address, port, port)
		facts := parseFacts(out)
		if facts.OS != os || int64(facts.CPUs) != cpus {
			t.Errorf("OS %q, %d CPUs; want %q, %d", facts.OS, facts.CPUs, os, cpus)
		}
		for name, ports := range map[string][]int{"listening": facts.Listening, "bound": facts.Bound} {
			if len(ports) == 0 || ports[len(ports)-1] != int(port) {
				t.Errorf("%s: %v; want %d last", name, ports, port)
			}
			for _, p := range ports {
				if p < 0 || p > 65535 {
					t.Errorf("%s: %d is no port", name, p)
				}
			}
		}
		for _, a := range facts.Addresses {
			if a.IsLoopback() {
				t.Errorf("the loopback address %s is one of the host's", a)
			}
		}
	})
}

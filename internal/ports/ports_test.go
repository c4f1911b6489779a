package ports

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// reserveFor is set for the process of a test that reserves ports beside.
const reserveFor = "GANTRY_TEST_RESERVES"

// Two processes ask at a time: no port is given twice, and each can be listened on.
func TestAPortIsGivenOnce(t *testing.T) {
	if os.Getenv(reserveFor) != "" {
		for range 20 {
			fmt.Printf("port %d\n", Reserve(t))
		}
		return
	}
	taken := map[string]bool{}
	for range 200 {
		port := fmt.Sprint(Reserve(t))
		if taken[port] {
			t.Errorf("%s is given twice", port)
		}
		taken[port] = true
		ln, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		ln.Close()
	}
	beside := exec.Command(os.Args[0], "-test.run=^TestAPortIsGivenOnce$")
	beside.Env = append(os.Environ(), reserveFor+"=1")
	out, err := beside.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got := 0
	for line := range strings.Lines(string(out)) {
		if port, ok := strings.CutPrefix(strings.TrimSpace(line), "port "); ok {
			if got++; taken[port] {
				t.Errorf("%s is given to both processes", port)
			}
		}
	}
	if got != 20 {
		t.Errorf("the other process got %d ports", got)
	}
}

func TestAPortIsGivenBack(t *testing.T) {
	var port int
	t.Run("a test", func(t *testing.T) { port = Reserve(t) })
	token, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatalf("%d is still reserved: %v", port, err)
	}
	token.Close()
}

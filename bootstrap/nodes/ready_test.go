package nodes

import (
	"errors"
	"io"
	"net/url"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/internal/patience"
)

// Whoever waits for a node asks through one connection to one master.
func TestTheWaitForANodeEndsWithTheConnectionToTheMaster(t *testing.T) {
	api := fake.NewSimpleClientset()
	api.PrependReactor("get", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, &url.Error{Op: "Get", Err: &host.Error{Kind: host.ErrUnreachable, Host: "m1", Doing: "connect", Err: io.EOF}}
	})
	ended := make(chan error, 1)
	go func() { ended <- WaitReady(t.Context(), api, "w1", time.Hour) }()
	if err := patience.Receive(t, "the wait ends", ended); !errors.Is(err, host.ErrUnreachable) {
		t.Errorf("it ends with %v", err)
	}
}

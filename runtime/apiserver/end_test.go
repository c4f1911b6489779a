package apiserver_test

import (
	"fmt"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/internal/ports"
	"github.com/gantry-run/gantry/runtime/apiserver/apitest"
)

// TestAServerWhoseStoreIsGoneEnds: requests that wait for the store do not keep it until
// they run out of time themselves, which is longer than a server has to stop.
func TestAServerWhoseStoreIsGoneEnds(t *testing.T) {
	c := apitest.Start(t)
	second := c.Config
	second.AdvertiseAddress, second.BindAddress = "192.0.2.2", fmt.Sprintf("127.0.0.1:%d", ports.Reserve(t))
	stop := c.StartServer(second)
	there := *c
	there.Address = second.BindAddress
	maps := there.Admin().CoreV1().ConfigMaps(metav1.NamespaceSystem)
	if _, err := maps.Get(t.Context(), "none", metav1.GetOptions{}); !apierrors.IsNotFound(err) { // connects
		t.Fatal(err)
	}
	c.StopStore()
	answers := make(chan error)
	for range 4 {
		go func() {
			_, err := maps.Get(t.Context(), "none", metav1.GetOptions{})
			answers <- err
		}()
	}
	stop() // fails the test when it lasts
	for range 4 {
		if err := <-answers; !apierrors.IsTimeout(err) {
			t.Errorf("a request at work is answered %v", err)
		}
	}
}

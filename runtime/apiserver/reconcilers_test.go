package apiserver_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/internal/ports"
	"github.com/gantry-run/gantry/runtime/apiserver/apitest"
	"github.com/gantry-run/gantry/runtime/config"
)

func TestMastersComeAndGo(t *testing.T) {
	// Addresses for documentation: they are published here and never dialled.
	c := apitest.Start(t, func(cfg *config.APIServerConfig) { cfg.AdvertiseAddress = "192.0.2.1" })
	k := c.Admin()
	want := func(masters ...string) {
		t.Helper()
		eventually(t, fmt.Sprintf("masters are %v", masters), func() error {
			s, err := k.DiscoveryV1().EndpointSlices("default").Get(t.Context(), "kubernetes", metav1.GetOptions{})
			if err != nil {
				return err
			}
			var got []string
			for _, e := range s.Endpoints {
				got = append(got, e.Addresses...)
			}
			if !slices.Equal(got, masters) {
				return fmt.Errorf("got %v", got)
			}
			return nil
		})
	}
	want("192.0.2.1")
	second := c.Config
	second.AdvertiseAddress = "192.0.2.2"
	second.BindAddress = fmt.Sprintf("127.0.0.1:%d", ports.Reserve(t))
	start := time.Now()
	stop := c.StartServer(second)
	want("192.0.2.1", "192.0.2.2")
	t.Logf("a second server was ready and listed after %s", time.Since(start))
	start = time.Now()
	stop()
	want("192.0.2.1")
	t.Logf("it stopped and was off the list after %s", time.Since(start))
}

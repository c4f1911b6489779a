package podautoscaler

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	fakediscovery "k8s.io/client-go/discovery/fake"
	"k8s.io/client-go/rest"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

// TestNothingRunsBeforeTheFirst: a cluster that has no HorizontalPodAutoscaler is asked for
// none.
func TestNothingRunsBeforeTheFirst(t *testing.T) {
	for name, comes := range map[string]bool{"one comes": true, "none comes": false} {
		synctest.Test(t, func(t *testing.T) {
			f := controllertest.New(autoscaled(1, 9))
			f.API.Discovery().(*fakediscovery.FakeDiscovery).Resources = []*metav1.APIResourceList{{GroupVersion: "apps/v1"}}
			f.Deps.REST = &rest.Config{Host: "https://127.0.0.1:1"}
			c, err := New(f.Deps)
			if err != nil {
				t.Fatal(err)
			}
			f.Sync(t)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- c.Run(ctx, 1) }()
			synctest.Wait()
			if asked := f.API.Actions(); len(asked) != 0 {
				t.Errorf("%s: asked before there is one: %v", name, asked)
			}
			if comes {
				f.Deps.Presence.Teller(autoscalingv2.Resource("horizontalpodautoscalers"))()
				time.Sleep(time.Second)
				synctest.Wait()
				asked := map[string]bool{}
				for _, a := range f.API.Actions() {
					asked[a.GetVerb()+" "+a.GetResource().Resource] = true
				}
				for _, want := range []string{"list horizontalpodautoscalers", "watch horizontalpodautoscalers"} {
					if !asked[want] {
						t.Errorf("%s: no %s among %v", name, want, asked)
					}
				}
			}
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

package apiserver_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap"
	"k8s.io/client-go/rest"

	"github.com/gantry-run/gantry/runtime/apiserver/apitest"
	"github.com/gantry-run/gantry/runtime/apiserver/flowcontrol"
	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
)

const reviewsPath = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

// stalledPost asks for what any user may, with a body that does not go on until ctx is
// done.
func stalledPost(ctx context.Context, c *client.Client, timeout string) (*http.Response, error) {
	r, w := io.Pipe()
	go func() {
		fmt.Fprint(w, `{"kind":"SelfSubjectAccessReview",`) // the server may have answered
		<-ctx.Done()
		w.Close()
	}()
	doer, err := rest.HTTPClientFor(c.REST)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.REST.Host+reviewsPath+"?timeout="+timeout, r)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	return doer.Do(req)
}

func TestARequestWhoseBodyDoesNotComeIsATimeout(t *testing.T) {
	c := apitest.Start(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	resp, err := stalledPost(ctx, c.Client("tenant"), "300ms")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var status metav1.Status
	if err := json.NewDecoder(resp.Body).Decode(&status); err != nil || status.Code != http.StatusGatewayTimeout || status.Reason != metav1.StatusReasonTimeout {
		t.Errorf("%v, %+v", err, status)
	}
}

func TestNodesGoOnWhileATenantFloods(t *testing.T) {
	c := apitest.Start(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const connections, each = 8, 50
	answered := make(chan int, connections*each)
	for range connections {
		tenant := c.Client("tenant")
		for range each {
			go func() {
				resp, err := stalledPost(ctx, tenant, "30s")
				if err != nil {
					return // the end of the test
				}
				answered <- resp.StatusCode
				resp.Body.Close()
			}()
		}
	}
	// Some are answered that there are too many: all places of their kind are taken.
	if code := <-answered; code != http.StatusTooManyRequests && code != http.StatusGatewayTimeout {
		t.Fatalf("the flood is answered %d", code)
	}
	// None of it is known to who has the same priority level.
	if err := c.Client("neighbour").AuthorizationV1().RESTClient().Post().AbsPath(reviewsPath).MaxRetries(0).
		Body([]byte(`{"kind":"SelfSubjectAccessReview","apiVersion":"authorization.k8s.io/v1","spec":{"nonResourceAttributes":{"verb":"get","path":"/"}}}`)).
		SetHeader("Content-Type", "application/json").Timeout(60 * time.Second).Do(t.Context()).Error(); err != nil {
		t.Errorf("a neighbour: %v", err)
	}
	node := c.Node("w1")
	leases := node.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	lease, err := leases.Create(t.Context(), &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "w1"}}, metav1.CreateOptions{})
	for i := range 20 {
		if err != nil {
			t.Fatalf("the node's lease, time %d: %v", i, err)
		}
		renewed := metav1.NowMicro()
		lease.Spec.RenewTime = &renewed
		lease, err = leases.Update(t.Context(), lease, metav1.UpdateOptions{})
	}
	for _, user := range []string{config.ControllerManagerUser, config.SchedulerUser} {
		if _, err := c.Client(user).CoreV1().Nodes().List(t.Context(), metav1.ListOptions{}); err != nil {
			t.Errorf("%s: %v", user, err)
		}
	}
	if _, err := c.Admin().CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Errorf("the administrator: %v", err)
	}
}

func TestTheFlowSchemasOfEveryCluster(t *testing.T) {
	c := apitest.Start(t)
	api := c.Admin().FlowcontrolV1()
	versions := func() map[string]string {
		t.Helper()
		out := map[string]string{}
		schemas, err := api.FlowSchemas().List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range schemas.Items {
			out["schema "+f.Name] = fmt.Sprintf("%d %s", f.Generation, f.Annotations[flowcontrolv1.AutoUpdateAnnotationKey])
		}
		levels, err := api.PriorityLevelConfigurations().List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range levels.Items {
			out["level "+p.Name] = fmt.Sprintf("%d %s", p.Generation, p.Annotations[flowcontrolv1.AutoUpdateAnnotationKey])
		}
		return out
	}
	first := versions()
	for name, v := range first {
		if v != "1 true" {
			t.Errorf("%s was written again: %s", name, v)
		}
	}
	want := len(bootstrap.MandatoryFlowSchemas) + len(bootstrap.SuggestedFlowSchemas) + 1 + len(bootstrap.MandatoryPriorityLevelConfigurations) + len(bootstrap.SuggestedPriorityLevelConfigurations)
	if len(first) != want {
		t.Errorf("%d objects, want %d: %v", len(first), want, first)
	}

	// What is deleted comes back, what is mandatory is taken back, and a suggestion
	// that was changed is the administrator's.
	level, err := api.PriorityLevelConfigurations().Get(t.Context(), "workload-low", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	shares := int32(7)
	level.Spec.Limited.NominalConcurrencyShares = &shares
	delete(level.Annotations, flowcontrolv1.AutoUpdateAnnotationKey)
	if _, err := api.PriorityLevelConfigurations().Update(t.Context(), level, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	stray := &flowcontrolv1.FlowSchema{
		ObjectMeta: metav1.ObjectMeta{Name: "of-an-earlier-release", Annotations: map[string]string{flowcontrolv1.AutoUpdateAnnotationKey: "true"}},
		Spec:       flowcontrolv1.FlowSchemaSpec{PriorityLevelConfiguration: flowcontrolv1.PriorityLevelConfigurationReference{Name: "workload-low"}},
	}
	if _, err := api.FlowSchemas().Create(t.Context(), stray, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	catchAll, err := api.FlowSchemas().Get(t.Context(), "catch-all", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	catchAll.Spec.DistinguisherMethod = nil
	if _, err := api.FlowSchemas().Update(t.Context(), catchAll, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := api.FlowSchemas().Delete(t.Context(), flowcontrol.NodeAgents, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the objects are as they should be", func() error {
		var errs []error
		if _, err := api.FlowSchemas().Get(t.Context(), flowcontrol.NodeAgents, metav1.GetOptions{}); err != nil {
			errs = append(errs, err)
		}
		if _, err := api.FlowSchemas().Get(t.Context(), stray.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("%s: %w", stray.Name, err))
		}
		if f, err := api.FlowSchemas().Get(t.Context(), "catch-all", metav1.GetOptions{}); err != nil || f.Spec.DistinguisherMethod == nil {
			errs = append(errs, fmt.Errorf("catch-all: %w, %+v", err, f))
		}
		level, err := api.PriorityLevelConfigurations().Get(t.Context(), "workload-low", metav1.GetOptions{})
		if err != nil || level.Annotations[flowcontrolv1.AutoUpdateAnnotationKey] != "false" || *level.Spec.Limited.NominalConcurrencyShares != shares {
			errs = append(errs, fmt.Errorf("workload-low: %w, %+v", err, level))
		}
		return errors.Join(errs...)
	})
}

func TestWhoMaySeeTheQueues(t *testing.T) {
	c := apitest.Start(t)
	for user, want := range map[string]int{"tenant": http.StatusForbidden, "admin": http.StatusOK} {
		var groups []string
		if user == "admin" {
			groups = []string{config.MastersGroup}
		}
		var code int
		c.Client(user, groups...).CoreV1().RESTClient().Get().AbsPath("/debug/api_priority_and_fairness/dump_priority_levels").Do(t.Context()).StatusCode(&code)
		if code != want {
			t.Errorf("%s is answered %d", user, code)
		}
	}
}

func TestAUserHasSoManyWatches(t *testing.T) {
	c := apitest.Start(t, func(cfg *config.APIServerConfig) { cfg.PerUser.Watches = 1 })
	node := c.Node("w1").CoreV1().RESTClient()
	watch := func() (io.ReadCloser, error) {
		return node.Get().AbsPath("/api/v1/nodes").Param("watch", "1").Param("fieldSelector", "metadata.name=w1").MaxRetries(0).Stream(t.Context())
	}
	first, err := watch()
	if err != nil {
		t.Fatal(err)
	}
	if second, err := watch(); !apierrors.IsTooManyRequests(err) {
		t.Errorf("a second watch: %v, %v", second, err)
	}
	first.Close()
	eventually(t, "the place that was left is free", func() error {
		again, err := watch()
		if err == nil {
			again.Close()
		}
		return err
	})
}

func TestAnAddressHasSoManyConnections(t *testing.T) {
	const limit, tried = 10, 30
	c := apitest.Start(t, func(cfg *config.APIServerConfig) { cfg.ConnectionsPerAddress = limit })
	admin := c.Admin()
	if _, err := admin.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	closed := 0
	for range tried {
		conn, err := net.Dial("tcp", c.Address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		// One that is let in is asked for its half of the handshake, and the others are closed.
		if err := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(t.Context()); err != nil { //nolint:gosec // who serves is not the question
			closed++
		}
	}
	if closed < tried-limit {
		t.Errorf("%d of %d connections were closed", closed, tried)
	}
	if _, err := admin.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Errorf("who was there before: %v", err)
	}
}

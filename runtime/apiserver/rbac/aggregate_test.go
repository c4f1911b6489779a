package rbac

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// labelled is a role with one label, whose rule names the resource.
func labelled(name, label string, resources ...string) *rbacv1.ClusterRole {
	r := clusterRoleOf(name)
	for _, resource := range resources {
		r.Rules = append(r.Rules, on([]string{"get"}, "", resource))
	}
	r.Labels = map[string]string{label: "true"}
	return r
}

func selecting(name string, rules []rbacv1.PolicyRule, selectors ...metav1.LabelSelector) *rbacv1.ClusterRole {
	r := clusterRoleOf(name, rules...)
	r.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: selectors}
	return r
}

func label(key string) metav1.LabelSelector {
	return metav1.LabelSelector{MatchLabels: map[string]string{key: "true"}}
}

// resourcesOf names the resources of rules with one each.
func resourcesOf(rules []rbacv1.PolicyRule) []string {
	var out []string
	for _, r := range rules {
		out = append(out, r.Resources...)
	}
	return out
}

func TestUnion(t *testing.T) {
	all := []*rbacv1.ClusterRole{
		labelled("a", "x", "pods"), labelled("b", "y", "secrets"), labelled("c", "x", "services", "pods"), labelled("d", "z", "nodes"), labelled("e", "x"),
	}
	self := selecting("s", []rbacv1.PolicyRule{on([]string{"get"}, "", "stale")}, label("x"))
	self.Labels = map[string]string{"x": "true"}
	tests := []struct {
		name string
		role *rbacv1.ClusterRole
		want []string
	}{
		{"the labelled, each rule once", selecting("s", nil, label("x")), []string{"pods", "services"}},
		{"of two selectors", selecting("s", nil, label("y"), label("x")), []string{"secrets", "pods", "services"}},
		{"of two that select the same", selecting("s", nil, label("x"), label("x")), []string{"pods", "services"}},
		{"nothing labelled", selecting("s", nil, label("w")), nil},
		{"no selector", selecting("s", nil), nil},
		{"an empty selector takes all", selecting("s", nil, metav1.LabelSelector{}), []string{"pods", "secrets", "services", "nodes"}},
		{"an expression", selecting("s", nil, metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "x", Operator: metav1.LabelSelectorOpDoesNotExist}}}),
			[]string{"secrets", "nodes"}},
		{"not its own", self, []string{"pods", "services"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			among := all
			if tt.role == self {
				among = append(slices.Clone(all), self)
			}
			rules, err := union(tt.role, among)
			if got := resourcesOf(rules); err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
	if _, err := union(selecting("s", nil, metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "x", Operator: "Like"}}}), all); err == nil {
		t.Error("a selector that makes no sense selects")
	}
}

// broken answers updates of the named role with an error.
func broken(c *fake.Clientset, name string, err error) {
	c.PrependReactor("update", "clusterroles", func(a clienttesting.Action) (bool, runtime.Object, error) {
		if a.(clienttesting.UpdateAction).GetObject().(*rbacv1.ClusterRole).Name == name {
			return true, nil, err
		}
		return false, nil, nil
	})
}

// updated names the roles that were written.
func updated(c *fake.Clientset) []string {
	var out []string
	for _, a := range c.Actions() {
		if u, ok := a.(clienttesting.UpdateAction); ok {
			out = append(out, u.GetObject().(*rbacv1.ClusterRole).Name)
		}
	}
	return out
}

func TestAggregateOnce(t *testing.T) {
	pod := []rbacv1.PolicyRule{on([]string{"get"}, "", "pods")}
	world := func() []*rbacv1.ClusterRole {
		return []*rbacv1.ClusterRole{
			clusterRoleOf("a plain", pod...),
			labelled("b part", "x", "pods"),
			selecting("c right", pod, label("x")),
			selecting("d empty", nil, label("none")),
			selecting("e stale", nil, label("x")),
			selecting("f more", append(slices.Clone(pod), on([]string{"get"}, "", "secrets")), label("x")),
		}
	}
	gr := rbacv1.Resource("clusterroles")
	tests := []struct {
		name   string
		fault  error // of writing e
		want   []string
		failed bool
	}{
		{"what differs is written", nil, []string{"e stale", "f more"}, false},
		{"another master was first", apierrors.NewConflict(gr, "e stale", errors.New("changed")), []string{"e stale", "f more"}, false},
		{"it was deleted meanwhile", apierrors.NewNotFound(gr, "e stale"), []string{"e stale", "f more"}, false},
		{"the store is away", errors.New("no answer"), []string{"e stale"}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var objects []runtime.Object
			for _, r := range world() {
				objects = append(objects, r)
			}
			c, a := fake.NewClientset(objects...), authorizerOf(t, objects...)
			if tt.fault != nil {
				broken(c, "e stale", tt.fault)
			}
			if err := a.aggregate(t.Context(), c.RbacV1().ClusterRoles()); (err != nil) != tt.failed {
				t.Errorf("%v", err)
			}
			if got := updated(c); !slices.Equal(got, tt.want) {
				t.Errorf("wrote %v", got)
			}
			if tt.failed {
				return
			}
			r, err := c.RbacV1().ClusterRoles().Get(t.Context(), "f more", metav1.GetOptions{})
			if err != nil || !slices.Equal(resourcesOf(r.Rules), []string{"pods"}) || r.AggregationRule == nil {
				t.Errorf("%+v, %v", r, err)
			}
			// What the informer gave is not written to.
			if o, _, _ := a.clusterRoles.GetStore().GetByKey("f more"); len(o.(*rbacv1.ClusterRole).Rules) != 2 {
				t.Error("the cache's own object was changed")
			}
		})
	}
}

func TestAggregateInvalidSelector(t *testing.T) {
	bad := selecting("bad", nil, metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "x", Operator: "Like"}}})
	c := fake.NewClientset(bad)
	if err := authorizerOf(t, bad).aggregate(t.Context(), c.RbacV1().ClusterRoles()); err == nil || len(updated(c)) != 0 {
		t.Errorf("%v, wrote %v", err, updated(c))
	}
}

func TestAggregateTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stale := selecting("stale", nil, label("x"))
		part := labelled("part", "x", "pods")
		c := fake.NewClientset(stale, part)
		failures := 2
		c.PrependReactor("update", "clusterroles", func(clienttesting.Action) (bool, runtime.Object, error) {
			if failures == 0 {
				return false, nil, nil
			}
			failures--
			return true, nil, fmt.Errorf("no answer")
		})
		a := authorizerOf(t, stale, part)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			a.Aggregate(ctx, c.RbacV1().ClusterRoles(), slog.New(slog.DiscardHandler))
			close(done)
		}()
		attempts := func(want int) {
			t.Helper()
			synctest.Wait()
			if got := len(updated(c)); got != want {
				t.Errorf("%d attempts, want %d", got, want)
			}
		}
		attempts(0) // nothing changed yet
		a.changed <- struct{}{}
		attempts(1)
		time.Sleep(999 * time.Millisecond)
		attempts(1)
		time.Sleep(time.Millisecond)
		attempts(2)
		time.Sleep(time.Second)
		attempts(3)
		time.Sleep(time.Hour)
		attempts(3) // it went well: only a change wakes it
		r, err := c.RbacV1().ClusterRoles().Get(ctx, "stale", metav1.GetOptions{})
		if err != nil || !slices.Equal(resourcesOf(r.Rules), []string{"pods"}) {
			t.Errorf("%+v, %v", r, err)
		}
		cancel()
		<-done
	})
}

package kind

import (
	"context"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/operation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func named(fields ...string) field.ErrorList {
	var errs field.ErrorList
	for _, f := range fields {
		errs = append(errs, field.Required(field.NewPath(f), ""))
	}
	return errs
}

func fieldsOf(errs field.ErrorList) string {
	var out []string
	for _, e := range errs {
		out = append(out, e.Field)
	}
	return strings.Join(out, " ")
}

// Rules in shadow are not enforced; the others are, and gates are off.
func TestDeclared(t *testing.T) {
	var ops []operation.Operation
	var olds []*corev1.Pod
	check := Declared(func(_ context.Context, op operation.Operation, path *field.Path, p, old *corev1.Pod) field.ErrorList {
		ops, olds = append(ops, op), append(olds, old)
		return slices.Concat(named("alpha").MarkAlpha(), named("beta").MarkBeta(), named("standard"))
	}, "Gate")
	pod := &corev1.Pod{}
	if got := fieldsOf(check(t.Context(), operation.Operation{Type: operation.Create}, pod, nil)); got != "beta standard" {
		t.Errorf("enforced: %s", got)
	}
	check(t.Context(), operation.Operation{Type: operation.Update}, pod, pod)
	if on, known := ops[0].HasOption("Gate"); on || !known || olds[0] != nil || olds[1] != pod {
		t.Errorf("%+v, %v", ops, olds)
	}
}

// Each write is checked by its own rules, and by what is declared.
func TestErrors(t *testing.T) {
	one := func(name string) func(runtime.Object) field.ErrorList {
		return func(runtime.Object) field.ErrorList { return named(name) }
	}
	two := func(name string) func(_, _ runtime.Object) field.ErrorList {
		return func(_, _ runtime.Object) field.ErrorList { return named(name) }
	}
	full := &Kind{
		Validate: one("all"), ValidateUpdate: two("update"), ValidateStatusUpdate: two("status"),
		Declared: func(_ context.Context, op operation.Operation, _, old runtime.Object) field.ErrorList {
			name := "on update"
			if op.Type == operation.Create && old == nil {
				name = "on create"
			}
			return named(strings.Join(append([]string{name}, op.Request.Subresources...), " of "))
		},
	}
	pod := &corev1.Pod{}
	for _, tt := range []struct {
		errs field.ErrorList
		want string
	}{
		{full.ErrorsOnCreate(t.Context(), pod), "all on create"},
		{full.ErrorsOnUpdate(t.Context(), pod, pod), "all update on update"},
		{full.ErrorsOnStatusUpdate(t.Context(), pod, pod), "status on update of status"},
		{(&Kind{}).ErrorsOnCreate(t.Context(), pod), ""},
		{(&Kind{}).ErrorsOnUpdate(t.Context(), pod, pod), ""},
		{(&Kind{}).ErrorsOnStatusUpdate(t.Context(), pod, pod), ""},
	} {
		if got := fieldsOf(tt.errs); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

// What is not supported is refused where it is new.
func TestUnsupported(t *testing.T) {
	k := &Kind{Unsupported: Check(func(p *corev1.Pod) field.ErrorList {
		var errs field.ErrorList
		for _, c := range p.Spec.Containers {
			errs = append(errs, named(c.Name)...)
		}
		return errs
	})}
	pod := func(names ...string) *corev1.Pod {
		p := &corev1.Pod{}
		for _, n := range names {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: n})
		}
		return p
	}
	for _, tt := range []struct {
		errs field.ErrorList
		want string
	}{
		{k.ErrorsOnCreate(t.Context(), pod("a", "b")), "a b"},
		{k.ErrorsOnCreate(t.Context(), pod()), ""},
		{k.ErrorsOnUpdate(t.Context(), pod("a", "b"), pod()), "a b"},
		{k.ErrorsOnUpdate(t.Context(), pod("a", "b"), pod("b", "c")), "a"},
		{k.ErrorsOnUpdate(t.Context(), pod("a"), pod("a")), ""},
		{k.ErrorsOnUpdate(t.Context(), pod(), pod("a")), ""},
		{k.NewlyUnsupported(pod("a"), pod("b")), "a"},
	} {
		if got := fieldsOf(tt.errs); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestDefaultsAreSetOnce(t *testing.T) {
	s, p := "", (*int)(nil)
	SetDefault(&s, "a")
	SetDefault(&s, "b")
	SetDefaultPtr(&p, 1)
	SetDefaultPtr(&p, 2)
	if s != "a" || *p != 1 {
		t.Errorf("%s %d", s, *p)
	}
	var order []string
	On(func(*corev1.Pod) { order = append(order, "generated") }, func(*corev1.Pod) { order = append(order, "written") })(&corev1.Pod{})
	if strings.Join(order, " ") != "generated written" {
		t.Errorf("%v", order)
	}
}

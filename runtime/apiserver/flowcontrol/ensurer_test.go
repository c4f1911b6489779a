package flowcontrol

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap"
)

// rival is a store in which another master has written one object last whenever it is
// read, if contested, and has everything as shipped otherwise.
type rival[T metav1.Object] struct {
	shipped map[string]T
	other   func(T) T
	name    string
	writes  []time.Time
	changed func()
}

func (r *rival[T]) Get(name string) (T, error) {
	if name == r.name {
		return r.other(r.shipped[name]), nil
	}
	return r.shipped[name], nil
}

func (r *rival[T]) List(labels.Selector) ([]T, error) { return nil, nil }

func (r *rival[T]) Create(_ context.Context, obj T, _ metav1.CreateOptions) (T, error) {
	return obj, nil
}

func (r *rival[T]) Update(_ context.Context, obj T, _ metav1.UpdateOptions) (T, error) {
	if obj.GetName() == r.name {
		r.writes = append(r.writes, time.Now())
		r.changed() // by us, and by the other at once
	}
	return obj, nil
}

func (r *rival[T]) Delete(context.Context, string, metav1.DeleteOptions) error { return nil }

func byName[T metav1.Object](lists ...[]T) map[string]T {
	out := map[string]T{}
	for _, list := range lists {
		for _, obj := range list {
			out[obj.GetName()] = obj
		}
	}
	return out
}

func TestMastersOfTwoReleasesDoNotFight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &Ensurer{changed: make(chan struct{}, 1), log: slog.New(slog.DiscardHandler)}
		levels := &rival[*flowcontrolv1.PriorityLevelConfiguration]{
			shipped: byName(bootstrap.SuggestedPriorityLevelConfigurations, bootstrap.MandatoryPriorityLevelConfigurations),
		}
		schemas := &rival[*flowcontrolv1.FlowSchema]{
			shipped: byName(suggestedFlowSchemas(), bootstrap.MandatoryFlowSchemas), name: NodeAgents, changed: e.look,
			other: func(f *flowcontrolv1.FlowSchema) *flowcontrolv1.FlowSchema {
				f = f.DeepCopy()
				f.Spec.MatchingPrecedence++
				return f
			},
		}
		e.levels = keeper[*flowcontrolv1.PriorityLevelConfiguration]{
			client: levels, cache: levels, copyOf: (*flowcontrolv1.PriorityLevelConfiguration).DeepCopy, wrote: &e.wrote,
			same: func(a, b *flowcontrolv1.PriorityLevelConfiguration) bool {
				return equality.Semantic.DeepEqual(a.Spec, b.Spec)
			},
		}
		e.schemas = keeper[*flowcontrolv1.FlowSchema]{
			client: schemas, cache: schemas, copyOf: (*flowcontrolv1.FlowSchema).DeepCopy, wrote: &e.wrote,
			same:    func(a, b *flowcontrolv1.FlowSchema) bool { return equality.Semantic.DeepEqual(a.Spec, b.Spec) },
			setSpec: func(to, from *flowcontrolv1.FlowSchema) { to.Spec = from.Spec },
		}
		ctx, cancel := context.WithCancel(t.Context())
		begun := time.Now()
		e.look()
		go e.Run(ctx)
		time.Sleep(10 * time.Minute)
		cancel()
		synctest.Wait()
		if n := len(schemas.writes); n < burst+6 || n > burst+10 {
			t.Fatalf("%d writes in ten minutes", n)
		}
		if last := schemas.writes[burst-1].Sub(begun); last > burst*2*settle {
			t.Errorf("the first %d took %v", burst, last)
		}
	})
}

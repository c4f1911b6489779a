package flowcontrol

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/time/rate"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap"
	"k8s.io/client-go/informers"
	client "k8s.io/client-go/kubernetes/typed/flowcontrol/v1"
	"k8s.io/client-go/tools/cache"
)

// settle is the time between a change of an object and the look at all of them, so
// that what is written together is looked at together.
const settle = time.Second

// Looks that write come one in a rest once a burst of them is spent, so that masters of two
// releases, each of which takes back what the other wrote, do so about every minute of an
// upgrade and not every second. What an administrator changes is taken back at once.
const (
	rest  = time.Minute
	burst = 3
)

// Ensurer keeps the objects that every cluster has.
type Ensurer struct {
	levels  keeper[*flowcontrolv1.PriorityLevelConfiguration]
	schemas keeper[*flowcontrolv1.FlowSchema]
	synced  []cache.InformerSynced
	changed chan struct{}
	wrote   bool // the last look wrote something
	log     *slog.Logger
}

// New returns one that reads from the informers of shared, which others use too, and
// is told by them what to look at again.
func New(c client.FlowcontrolV1Interface, shared informers.SharedInformerFactory, log *slog.Logger) (*Ensurer, error) {
	levels, schemas := shared.Flowcontrol().V1().PriorityLevelConfigurations(), shared.Flowcontrol().V1().FlowSchemas()
	e := &Ensurer{changed: make(chan struct{}, 1), log: log}
	e.levels = keeper[*flowcontrolv1.PriorityLevelConfiguration]{
		client: c.PriorityLevelConfigurations(), cache: levels.Lister(), wrote: &e.wrote,
		copyOf: (*flowcontrolv1.PriorityLevelConfiguration).DeepCopy,
		same: func(a, b *flowcontrolv1.PriorityLevelConfiguration) bool {
			return equality.Semantic.DeepEqual(a.Spec, b.Spec)
		},
		setSpec: func(to, from *flowcontrolv1.PriorityLevelConfiguration) { to.Spec = *from.Spec.DeepCopy() },
	}
	e.schemas = keeper[*flowcontrolv1.FlowSchema]{
		client: c.FlowSchemas(), cache: schemas.Lister(), wrote: &e.wrote,
		copyOf:  (*flowcontrolv1.FlowSchema).DeepCopy,
		same:    func(a, b *flowcontrolv1.FlowSchema) bool { return equality.Semantic.DeepEqual(a.Spec, b.Spec) },
		setSpec: func(to, from *flowcontrolv1.FlowSchema) { to.Spec = *from.Spec.DeepCopy() },
	}
	for _, i := range []cache.SharedIndexInformer{levels.Informer(), schemas.Informer()} {
		if _, err := i.AddEventHandler(cache.ResourceEventHandlerFuncs{
			UpdateFunc: func(any, any) { e.look() }, DeleteFunc: func(any) { e.look() },
		}); err != nil {
			return nil, err
		}
		e.synced = append(e.synced, i.HasSynced)
	}
	return e, nil
}

func (e *Ensurer) look() {
	select {
	case e.changed <- struct{}{}:
	default: // it is going to look
	}
}

// Ensure makes what is missing, takes back what may not be changed, and removes what
// an earlier release shipped.
func (e *Ensurer) Ensure(ctx context.Context) error {
	if !cache.WaitForCacheSync(ctx.Done(), e.synced...) {
		return errors.New("flow schemas and priority levels are not read yet")
	}
	e.wrote = false
	suggested := suggestedFlowSchemas()
	// Levels come before the schemas that name them.
	for _, step := range []func() error{
		func() error { return e.levels.ensure(ctx, bootstrap.SuggestedPriorityLevelConfigurations, false) },
		func() error { return e.schemas.ensure(ctx, suggested, false) },
		func() error { return e.levels.ensure(ctx, bootstrap.MandatoryPriorityLevelConfigurations, true) },
		func() error { return e.schemas.ensure(ctx, bootstrap.MandatoryFlowSchemas, true) },
		func() error { return e.schemas.prune(ctx, suggested, bootstrap.MandatoryFlowSchemas) },
		func() error {
			return e.levels.prune(ctx, bootstrap.SuggestedPriorityLevelConfigurations, bootstrap.MandatoryPriorityLevelConfigurations)
		},
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// Run repeats that after changes, until ctx is done.
func (e *Ensurer) Run(ctx context.Context) {
	pause, writing := settle, rate.NewLimiter(rate.Every(rest), burst)
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.changed:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = settle
		if err := e.Ensure(ctx); err != nil && ctx.Err() == nil {
			e.log.Warn("flow schemas and priority levels are not as they should be; trying again", "error", err)
			e.look()
		} else if e.wrote {
			pause = max(settle, wait.Jitter(writing.Reserve().Delay(), 0.5))
		}
	}
}

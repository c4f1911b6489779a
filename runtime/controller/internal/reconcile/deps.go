package reconcile

import (
	"log/slog"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/controller/internal/presence"
)

// Deps are what controllers are made of. Each New takes what it needs of them. The
// informers must be started after all controllers are made.
type Deps struct {
	Client    kubernetes.Interface
	REST      *rest.Config // for clients of other APIs; it speaks JSON
	Metadata  metadata.Interface
	Informers informers.SharedInformerFactory
	Presence  *presence.Kinds
	Events    record.EventRecorder
	Clock     clock.WithTicker
	RootCA    []byte // PEM
	Config    config.ControllerManagerConfig
	Log       *slog.Logger
}

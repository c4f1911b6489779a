package kinds

import (
	"slices"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/admissionregistration"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/apps"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/authentication"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/authorization"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/autoscaling"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/batch"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/certificates"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/coordination"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/core"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/discovery"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/events"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/flowcontrol"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/networking"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/node"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/policy"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/rbac"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/resource"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/scheduling"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/storage"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/storagemigration"
)

// Table returns the rows of all groups.
func Table() []kind.Kind {
	return slices.Concat(
		core.Kinds(),
		events.Kinds(),
		apps.Kinds(),
		batch.Kinds(),
		autoscaling.Kinds(),
		policy.Kinds(),
		networking.Kinds(),
		discovery.Kinds(),
		coordination.Kinds(),
		node.Kinds(),
		scheduling.Kinds(),
		storage.Kinds(),
		resource.Kinds(),
		storagemigration.Kinds(),
		rbac.Kinds(),
		authentication.Kinds(),
		authorization.Kinds(),
		certificates.Kinds(),
		admissionregistration.Kinds(),
		flowcontrol.Kinds(),
	)
}

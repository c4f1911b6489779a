package storage

import (
	"strings"
	"testing"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

func TestRows(t *testing.T) { kindtest.Properties(t, Kinds()) }

const (
	sampleClass  = "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: c, annotations: {storageclass.kubernetes.io/is-default-class: 'true'}}\nprovisioner: a.example.com\nparameters: {a: b}"
	sampleDriver = "apiVersion: storage.k8s.io/v1\nkind: CSIDriver\nmetadata: {name: d}\nspec: {fsGroupPolicy: File, volumeLifecycleModes: [Persistent], tokenRequests: [{audience: a, expirationSeconds: 600}, {audience: b}]}"
	sampleNode   = "apiVersion: storage.k8s.io/v1\nkind: CSINode\nmetadata: {name: n1}\nspec: {drivers: [{name: a, nodeID: i, topologyKeys: [zone], allocatable: {count: 3}}]}"
	sampleAttach = "apiVersion: storage.k8s.io/v1\nkind: VolumeAttachment\nmetadata: {name: v}\nspec: {attacher: a.example.com, nodeName: n1, source: {persistentVolumeName: p}}"
)

func TestValidation(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleClass, from, to, want)
	}
	d := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleDriver, from, to, want)
	}
	n := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleNode, from, to, want)
	}
	a := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleAttach, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("fine", "", "", ""),
		c("capitals", "provisioner: a.example.com", "provisioner: A.example.com", ""),
		c("no provisioner", "provisioner: a.example.com\n", "", "provisioner: Required value"),
		c("provisioner", "provisioner: a.example.com", "provisioner: '/'", "provisioner: Invalid value"),
		c("nameless parameter", "{a: b}", "{'': b}", "field can not be empty."),
		c("too much", "{a: b}", "{a: "+strings.Repeat("b", 256*1024)+"}", "parameters: Too long"),
		c("just not too much", "{a: b}", "{a: "+strings.Repeat("b", 256*1024-1)+"}", ""),
		c("reclaim", "parameters: {a: b}", "reclaimPolicy: Recycle", "reclaimPolicy: Unsupported value"),
		c("binding", "parameters: {a: b}", "volumeBindingMode: Never", "volumeBindingMode: Unsupported value"),
		c("topology", "parameters: {a: b}", "allowedTopologies: [{matchLabelExpressions: [{key: zone, values: [a]}]}, {matchLabelExpressions: [{key: zone, values: [b]}]}]", ""),
		c("no place", "parameters: {a: b}", "allowedTopologies: [{matchLabelExpressions: [{key: zone}]}]", "allowedTopologies[0].matchLabelExpressions[0].values: Required value"),
		c("place twice", "parameters: {a: b}", "allowedTopologies: [{matchLabelExpressions: [{key: zone, values: [a, a]}]}]", "matchLabelExpressions[0].values[1]: Duplicate value"),
		c("key twice", "parameters: {a: b}", "allowedTopologies: [{matchLabelExpressions: [{key: zone, values: [a]}, {key: zone, values: [b]}]}]", "matchLabelExpressions[1].key: Duplicate value"),
		c("term twice", "parameters: {a: b}", "allowedTopologies: [{matchLabelExpressions: [{key: zone, values: [a, b]}]}, {matchLabelExpressions: [{key: zone, values: [b, a]}]}]", "allowedTopologies[1].matchLabelExpressions: Duplicate value"),
		c("key", "parameters: {a: b}", "allowedTopologies: [{matchLabelExpressions: [{key: /, values: [a]}]}]", "matchLabelExpressions[0].key: Invalid value"),
		d("fine", "", "", ""),
		d("group policy", "fsGroupPolicy: File", "fsGroupPolicy: X", "spec.fsGroupPolicy: Unsupported value"),
		d("life", "[Persistent]", "[Brief]", "spec.volumeLifecycleModes: Unsupported value"),
		d("audience twice", "audience: b", "audience: a", "spec.tokenRequests[1].audience: Duplicate value"),
		d("token life", "600", "599", "may not specify a duration less than 10 minutes"),
		d("token's long life", "600", "4294967297", "may not specify a duration larger than 2^32 seconds"),
		d("frequent", "fsGroupPolicy: File", "fsGroupPolicy: File, nodeAllocatableUpdatePeriodSeconds: 9", "must be greater than or equal to 10 seconds"),
		d("no policy", "fsGroupPolicy: File", "fsGroupPolicy: ''", "spec.fsGroupPolicy: Unsupported value"),
		kindtest.Change("secret tokens of none", strings.Replace(sampleDriver, "tokenRequests: [{audience: a, expirationSeconds: 600}, {audience: b}]", "podInfoOnMount: true", 1), "podInfoOnMount: true", "serviceAccountTokenInSecrets: true", "no tokenRequests are specified"),
		n("fine", "", "", ""),
		n("name", "{name: a", "{name: A_", "spec.drivers[0].name: Invalid value"),
		n("twice", "drivers: [", "drivers: [{name: a, nodeID: j}, ", "spec.drivers[1].name: Duplicate value"),
		n("node", "nodeID: i, ", "", "spec.drivers[0].nodeID: Required value"),
		n("topology", "[zone]", "['/']", "spec.drivers[0]: Invalid value"),
		n("topology twice", "[zone]", "[zone, zone]", "spec.drivers[0]: Duplicate value"),
		n("long name of a node", "nodeID: i", "nodeID: "+strings.Repeat("i", 257), "must be 256 characters or less"),
		n("count", "count: 3", "count: -3", "spec.drivers[0].allocatable.count: Invalid value"),
		a("fine", "", "", ""),
		a("no attacher", "attacher: a.example.com, ", "", "spec.attacher: Required value"),
		a("attacher", "a.example.com", "a_b", "spec.attacher: Invalid value"),
		a("long attacher", "a.example.com", strings.Repeat("a", 64), "spec.attacher: Too long"),
		a("node", "nodeName: n1", "nodeName: N_", "spec.nodeName: Invalid value"),
		a("nothing", "{persistentVolumeName: p}", "{}", "must specify exactly one of inlineVolumeSpec and persistentVolumeName"),
		a("both", "{persistentVolumeName: p}", "{persistentVolumeName: p, inlineVolumeSpec: {}}", "spec.source: Forbidden"),
		a("inline", "{persistentVolumeName: p}", "{inlineVolumeSpec: {accessModes: [ReadWriteOnce], csi: {driver: a, volumeHandle: b}}}", ""),
		a("inline with a capacity", "{persistentVolumeName: p}", "{inlineVolumeSpec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], csi: {driver: a, volumeHandle: b}}}", "spec.source.inlineVolumeSpec.capacity: Forbidden"),
		a("inline of a class", "{persistentVolumeName: p}", "{inlineVolumeSpec: {storageClassName: a, accessModes: [ReadWriteOnce], csi: {driver: a, volumeHandle: b}}}", "inlineVolumeSpec.storageClassName: Forbidden"),
		a("inline of no driver", "{persistentVolumeName: p}", "{inlineVolumeSpec: {accessModes: [ReadWriteOnce], hostPath: {path: /a}}}", "inlineVolumeSpec.csi: Required value"),
		a("inline and deleted", "{persistentVolumeName: p}", "{inlineVolumeSpec: {persistentVolumeReclaimPolicy: Delete, accessModes: [ReadWriteOnce], csi: {driver: a, volumeHandle: b}}}", "may only be Retain"),
		a("inline block", "{persistentVolumeName: p}", "{inlineVolumeSpec: {volumeMode: Block, accessModes: [ReadWriteOnce], csi: {driver: a, volumeHandle: b}}}", "other than Filesystem"),
		a("empty name", "{persistentVolumeName: p}", "{persistentVolumeName: ''}", "spec.source.persistentVolumeName: Required value"),
	})
	kindtest.Update(t, Kinds(), []kindtest.Case{
		c("parameters", "a: b", "a: c", "parameters: Invalid value: null: field is immutable"),
		c("provisioner", "a.example.com", "b.example.com", "provisioner: Invalid value"),
		c("reclaim", "parameters", "reclaimPolicy: Retain\nparameters", "reclaimPolicy: Invalid value"),
		c("binding", "parameters", "volumeBindingMode: WaitForFirstConsumer\nparameters", "volumeBindingMode: Invalid value"),
		c("expansion", "parameters", "allowVolumeExpansion: true\nparameters", ""),
		d("attach", "fsGroupPolicy: File", "fsGroupPolicy: File, attachRequired: false", "spec.attachedRequired: Invalid value"),
		d("life", "[Persistent]", "[Ephemeral]", "spec.volumeLifecycleModes: Invalid value"),
		n("another name of the node", "nodeID: i", "nodeID: j", "spec.drivers: Invalid value"),
		n("more volumes", "count: 3", "count: 4", ""),
		n("a driver less", "drivers: [{name: a, nodeID: i, topologyKeys: [zone], allocatable: {count: 3}}]", "drivers: []", ""),
		a("node", "nodeName: n1", "nodeName: m1", "spec: Invalid value"),
	})
	kindtest.UpdateStatus(t, Kinds(), []kindtest.Case{
		kindtest.Change("long error", sampleAttach, "}}", "}}\nstatus: {attachError: {message: "+strings.Repeat("m", 1025)+"}}", "status.attachError.message: Too long"),
		kindtest.Change("error", sampleAttach, "}}", "}}\nstatus: {detachError: {message: m, errorCode: -1}}", "status.detachError.errorCode: Invalid value"),
		kindtest.Change("long metadata", sampleAttach, "}}", "}}\nstatus: {attachmentMetadata: {a: "+strings.Repeat("m", 256*1024)+"}}", "status.attachmentMetadata: Too long"),
	})
	kindtest.Cells(t, Kinds(), []kindtest.Printed{
		{Name: "class", Manifest: sampleClass, Want: "c (default) | a.example.com | Delete | Immediate | false | <unknown>"},
		{Name: "driver", Manifest: sampleDriver, Want: "d | true | false | false | a,b | false | Persistent | <unknown>"},
		{Name: "node", Manifest: sampleNode, Want: "n1 | 1 | <unknown>"},
		{Name: "attachment", Manifest: sampleAttach, Want: "v | a.example.com | p | n1 | false | <unknown>"},
	})
}

const (
	sampleAttributes = "apiVersion: storage.k8s.io/v1\nkind: VolumeAttributesClass\nmetadata: {name: v}\ndriverName: A.example.com\nparameters: {a: b}"
	sampleCapacity   = "apiVersion: storage.k8s.io/v1\nkind: CSIStorageCapacity\nmetadata: {name: c}\nnodeTopology: {matchLabels: {zone: a}}\nstorageClassName: fast\ncapacity: 1Gi"
)

func TestAttributesAndCapacity(t *testing.T) {
	v := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleAttributes, from, to, want)
	}
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleCapacity, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		v("fine", "", "", ""),
		v("no driver", "driverName: A.example.com\n", "", "driverName: Required value"),
		v("driver", "A.example.com", "'/'", "driverName: Invalid value"),
		v("no parameters", "{a: b}", "{}", "must contain at least one key/value pair"),
		v("nameless parameter", "{a: b}", "{'': b}", "field can not be empty."),
		v("too much", "{a: b}", "{a: "+strings.Repeat("b", maxParameterSize)+"}", "parameters: Too long"),
		v("just not too much", "{a: b}", "{a: "+strings.Repeat("b", maxParameterSize-1)+"}", ""),
		c("fine", "", "", ""),
		c("no class", "storageClassName: fast\n", "", "storageClassName: Invalid value"),
		c("topology", "{zone: a}", "{'/': a}", "nodeTopology.matchLabels: Invalid value"),
		c("no topology", "nodeTopology: {matchLabels: {zone: a}}\n", "", ""),
		c("less than nothing", "1Gi", "'-1'", "capacity: Invalid value"),
		c("nothing", "1Gi", "0", ""),
	})
	kindtest.Update(t, Kinds(), []kindtest.Case{
		v("driver", "A.example", "B.example", "driverName: Forbidden"),
		v("parameters", "a: b", "a: c", "parameters: Forbidden"),
		v("labels", "{name: v}", "{name: v, labels: {a: b}}", ""),
		c("capacity", "1Gi", "2Gi", ""),
		c("topology", "zone: a", "zone: b", "nodeTopology: Invalid value"),
		c("class", "fast", "slow", "storageClassName: Invalid value"),
	})
	kindtest.Cells(t, Kinds(), []kindtest.Printed{
		{Name: "attributes", Manifest: sampleAttributes, Want: "v | A.example.com | <unknown>"},
		{Name: "capacity", Manifest: sampleCapacity, Want: "c | 0001-01-01T00:00:00Z"},
	})
}

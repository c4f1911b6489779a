package core

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

func TestPersistentSources(t *testing.T) {
	const volume = "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: v}\nspec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /x}}"
	c := func(name, source, want string) kindtest.Case {
		return kindtest.Change(name, volume, "hostPath: {path: /x}", source, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("none", "volumeMode: Filesystem", "spec: Required value: must specify a volume type"),
		c("two", "hostPath: {path: /x}, nfs: {server: a, path: /b}", "spec.nfs: Forbidden: may not specify more than 1 volume type"),
		c("disk", "gcePersistentDisk: {}", "spec.persistentDisk.pdName: Required value"),
		c("partition", "awsElasticBlockStore: {volumeID: a, partition: 256}", "partition: Invalid value"),
		c("gluster", "glusterfs: {endpoints: a}", "spec.glusterfs.path: Required value"),
		c("flocker", "flocker: {datasetName: a, datasetUUID: b}", "can not be specified simultaneously"),
		c("nfs", "nfs: {server: a, path: b}", "must be an absolute path"),
		c("rbd", "rbd: {monitors: [], image: a}", "spec.rbd.monitors: Required value"),
		c("quobyte", "quobyte: {volume: a, registry: b}", "must be a host:port pair"),
		c("ceph", "cephfs: {monitors: []}", "spec.cephfs.monitors: Required value"),
		c("iscsi", "iscsi: {targetPortal: a, iqn: b}", "spec.iscsi.iqn: Invalid value"),
		c("iscsi name", "iscsi: {targetPortal: a, iqn: 'iqn.2015-02.example.com:t'}", ""),
		c("iscsi secret", "iscsi: {targetPortal: a, iqn: 'iqn.2015-02.example.com:t', chapAuthSession: true}", "spec.iscsi.secretRef: Required value"),
		c("cinder", "cinder: {volumeID: a, secretRef: {name: b}}", "spec.cinder.secretRef.namespace: Required value"),
		c("fibre channel", "fc: {targetWWNs: [a]}", "lun is required if targetWWNs is specified"),
		c("fibre channel of both", "fc: {targetWWNs: [a], wwids: [b], lun: 1}", "can not be specified simultaneously"),
		c("flex volume", "flexVolume: {driver: a, options: {x.k8s.io/a: b}}", "namespaces are reserved"),
		c("azure file", "azureFile: {secretName: a, shareName: b, secretNamespace: ''}", "secretNamespace: Required value"),
		c("azure disk", "azureDisk: {diskName: a, diskURI: 'https://x', kind: Managed}", "spec.azureDisk.diskURI: Unsupported value"),
		c("scale IO", "scaleIO: {gateway: a, system: b, secretRef: {name: c}}", "spec.scaleIO.volumeName: Required value"),
		c("local", "local: {path: /a}", "Local volume requires node affinity"),
		c("storage OS", "storageos: {volumeName: A}", "spec.storageos.volumeName: Invalid value"),
	})
}

func TestClaimStatus(t *testing.T) {
	const claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: c}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\nstatus: {capacity: {storage: 1Gi}}"
	c := func(name, to, want string) kindtest.Case {
		return kindtest.Change(name, claim, "capacity: {storage: 1Gi}", to, want)
	}
	kindtest.UpdateStatus(t, Kinds(), []kindtest.Case{
		c("negative", "capacity: {storage: -1Gi}", "status.capacity[storage]: Invalid value"),
		c("resizing", "allocatedResourceStatuses: {storage: NodeResizePending}, allocatedResources: {storage: 2Gi}", ""),
		c("no such state", "allocatedResourceStatuses: {storage: Growing}", "status.allocatedResourceStatuses: Unsupported value"),
		c("of the processor", "allocatedResources: {cpu: 1}", "status.allocatedResources: Unsupported value"),
		c("of others", "allocatedResources: {example.com/a: 1}", ""),
	})
}

// Features that are off are dropped: a source elsewhere among them.
func TestClaimsOfOtherNamespaces(t *testing.T) {
	const claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: c}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}, dataSourceRef: {kind: PersistentVolumeClaim, name: a, namespace: other}}"
	row, obj := kindtest.Row(t, Kinds(), claim)
	row.PrepareForCreate(obj)
	if got := obj.(*corev1.PersistentVolumeClaim).Spec.DataSourceRef; got != nil {
		t.Errorf("kept: %v", got)
	}
}

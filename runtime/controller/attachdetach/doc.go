// Package attachdetach has volumes of CSI drivers attached to the nodes of the pods that use
// them, and detached once no such pod is there and the node says that it has unmounted them,
// as upstream's attach-detach controller. A VolumeAttachment asks the driver for it; what is
// attached stands in the node's status, by which its kubelet goes.
//
// As long as no PersistentVolume is of a CSI driver, neither drivers nor attachments are
// watched.
package attachdetach

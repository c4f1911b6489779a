// Package plugins takes up the plugins of the node that announce themselves by a socket in
// a directory: it watches the directory, asks each socket what it is, hands it to the
// handler of its type, and tells the handler when the socket is gone. What a plugin is for,
// its handler knows: drivers of dynamic resource allocation, CSI drivers.
//
// The protocol is v1 of the kubelet's plugin registration:
// https://github.com/kubernetes/kubelet/tree/master/pkg/apis/pluginregistration/v1
//
// It imports nothing of the rest of the runtime.
package plugins

package apiserver_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/internal/ports"
	"github.com/gantry-run/gantry/runtime/apiserver/apitest"
	"github.com/gantry-run/gantry/runtime/config"
)

func TestARevokedNodeIsRefusedByAllMasters(t *testing.T) {
	c := apitest.Start(t)
	second := c.Config
	second.AdvertiseAddress, second.BindAddress = "192.0.2.2", fmt.Sprintf("127.0.0.1:%d", ports.Reserve(t))
	c.StartServer(second)
	admin := c.Admin()
	register := func(server, name string) error {
		node := *c
		node.Address = server
		_, err := node.Node(name).CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	}
	servers := []string{c.Address, second.BindAddress}
	want := func(what, name string, refused bool) {
		t.Helper()
		for _, s := range servers {
			eventually(t, what+" on "+s, func() error {
				err := register(s, name)
				if !refused {
					return err
				}
				if !apierrors.IsUnauthorized(err) || !strings.Contains(err.Error(), "node "+name+" was taken out of the cluster") {
					return fmt.Errorf("it is told %v", err)
				}
				return nil
			})
		}
	}
	want("a node registers", "w1", false)
	// Certificates of the test's authority begin an hour ago.
	revoked := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: config.ReleasedNodesConfigMap}, Data: map[string]string{"w1": time.Now().Format(time.RFC3339)}}
	maps := admin.CoreV1().ConfigMaps(metav1.NamespaceSystem)
	if _, err := maps.Create(t.Context(), revoked, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	want("it is refused once it was revoked", "w1", true)
	want("another is not", "w2", false)
	revoked.Data["w1"] = time.Now().Add(-2 * time.Hour).Format(time.RFC3339)
	if _, err := maps.Update(t.Context(), revoked, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	want("a certificate that began later is good", "w1", false)
}

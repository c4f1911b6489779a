package apiserver_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/apiserver/apitest"
)

func TestServes(t *testing.T) {
	start := time.Now()
	c := apitest.Start(t)
	t.Log("started in", time.Since(start))
	admin := c.Admin()
	ns, err := admin.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "app"}}, metav1.CreateOptions{})
	t.Log(ns, err)
	cm, err := admin.CoreV1().ConfigMaps("app").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "x"}, Data: map[string]string{"a": "b"}}, metav1.CreateOptions{})
	t.Log(cm, err)
	v, err := admin.Discovery().ServerVersion()
	t.Log(v, err)
	gs, rs, err := admin.Discovery().ServerGroupsAndResources()
	t.Log(len(gs), len(rs), err)
}

package nodeauth

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

func podOf(t *testing.T, spec string) *corev1.Pod {
	t.Helper()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "p"}}
	if err := yaml.UnmarshalStrict([]byte(spec), &p.Spec); err != nil {
		t.Fatalf("%v in %s", err, spec)
	}
	return p
}

// Each row's pod refers to the secrets and config maps named, and to no others of
// the names that appear in the table.
func TestReferences(t *testing.T) {
	tests := []struct {
		name, spec          string
		secrets, configMaps []string
	}{
		{"nothing", `containers: [{name: a}]`, nil, nil},
		{"pull secrets", `imagePullSecrets: [{name: red}, {name: blue}]`, []string{"red", "blue"}, nil},
		{"a secret volume", `volumes: [{name: v, secret: {secretName: red}}]`, []string{"red"}, nil},
		{"the second volume", `volumes: [{name: u, emptyDir: {}}, {name: v, secret: {secretName: red}}]`, []string{"red"}, nil},
		{"a volume's own name", `volumes: [{name: red, secret: {secretName: blue}}]`, []string{"blue"}, nil},
		{"a config map volume", `volumes: [{name: v, configMap: {name: red}}]`, nil, []string{"red"}},
		{"projected secrets", `volumes: [{name: v, projected: {sources: [{secret: {name: red}}, {secret: {name: blue}}]}}]`, []string{"red", "blue"}, nil},
		{"projected config maps", `volumes: [{name: v, projected: {sources: [{configMap: {name: red}}, {configMap: {name: blue}}]}}]`, nil, []string{"red", "blue"}},
		{"projected both", `volumes: [{name: v, projected: {sources: [{serviceAccountToken: {path: t}}, {secret: {name: red}}, {configMap: {name: blue}}]}}]`, []string{"red"}, []string{"blue"}},
		{"CSI", `volumes: [{name: v, csi: {driver: d, nodePublishSecretRef: {name: red}}}]`, []string{"red"}, nil},
		{"CSI without a secret", `volumes: [{name: v, csi: {driver: d}}]`, nil, nil},
		{"CephFS", `volumes: [{name: v, cephfs: {monitors: [m], secretRef: {name: red}}}]`, []string{"red"}, nil},
		{"CephFS without a secret", `volumes: [{name: v, cephfs: {monitors: [m]}}]`, nil, nil},
		{"RBD", `volumes: [{name: v, rbd: {monitors: [m], image: i, secretRef: {name: red}}}]`, []string{"red"}, nil},
		{"iSCSI", `volumes: [{name: v, iscsi: {targetPortal: p, iqn: i, lun: 0, secretRef: {name: red}}}]`, []string{"red"}, nil},
		{"flex", `volumes: [{name: v, flexVolume: {driver: d, secretRef: {name: red}}}]`, []string{"red"}, nil},
		{"Azure file", `volumes: [{name: v, azureFile: {secretName: red, shareName: blue}}]`, []string{"red"}, nil},
		{"Cinder", `volumes: [{name: v, cinder: {volumeID: i, secretRef: {name: red}}}]`, []string{"red"}, nil},
		{"ScaleIO", `volumes: [{name: v, scaleIO: {gateway: g, system: s, secretRef: {name: red}}}]`, []string{"red"}, nil},
		{"StorageOS", `volumes: [{name: v, storageos: {secretRef: {name: red}}}]`, []string{"red"}, nil},
		{"a claim is no secret", `volumes: [{name: v, persistentVolumeClaim: {claimName: red}}]`, nil, nil},

		{"environment from", `containers: [{name: a, envFrom: [{secretRef: {name: red}}, {configMapRef: {name: blue}}]}]`, []string{"red"}, []string{"blue"}},
		{"the second source", `containers: [{name: a, envFrom: [{prefix: p, secretRef: {name: red}}, {secretRef: {name: blue}}]}]`, []string{"red", "blue"}, nil},
		{"a secret's key", `containers: [{name: a, env: [{name: blue, value: blue}, {name: v, valueFrom: {secretKeyRef: {name: red, key: blue}}}]}]`, []string{"red"}, nil},
		{"a config map's key", `containers: [{name: a, env: [{name: blue, value: blue}, {name: v, valueFrom: {configMapKeyRef: {name: red, key: blue}}}]}]`, nil, []string{"red"}},
		{"a field", `containers: [{name: a, env: [{name: v, valueFrom: {fieldRef: {fieldPath: red}}}]}]`, nil, nil},
		{"the second container", `containers: [{name: a}, {name: b, envFrom: [{secretRef: {name: red}}], env: [{name: v, valueFrom: {configMapKeyRef: {name: blue, key: k}}}]}]`, []string{"red"}, []string{"blue"}},
		{"an init container", `initContainers: [{name: a, envFrom: [{secretRef: {name: red}}, {configMapRef: {name: blue}}]}]`, []string{"red"}, []string{"blue"}},
		{"an ephemeral container", `ephemeralContainers: [{name: a}, {name: b, env: [{name: v, valueFrom: {secretKeyRef: {name: red, key: k}}}, {name: w, valueFrom: {configMapKeyRef: {name: blue, key: k}}}]}]`,
			[]string{"red"}, []string{"blue"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := podOf(t, tt.spec)
			for _, name := range []string{"red", "blue", "green"} {
				if got := usesSecret(p, name); got != slices.Contains(tt.secrets, name) {
					t.Errorf("secret %s: %v", name, got)
				}
				if got := usesConfigMap(p, name); got != slices.Contains(tt.configMaps, name) {
					t.Errorf("config map %s: %v", name, got)
				}
			}
		})
	}
}

func TestClaims(t *testing.T) {
	p := podOf(t, `volumes: [{name: a, emptyDir: {}}, {name: b, persistentVolumeClaim: {claimName: data}}, {name: c, secret: {secretName: s}}, {name: d, ephemeral: {}}]`)
	if got := claims(p); !slices.Equal(got, []string{"data", "p-d"}) {
		t.Errorf("%v", got)
	}
	for name, want := range map[string]bool{"data": true, "p-d": true, "b": false, "d": false, "s": false, "": false} {
		if usesClaim(p, name) != want {
			t.Errorf("claim %q: %v", name, !want)
		}
	}
}

func TestUsesServiceAccount(t *testing.T) {
	p := podOf(t, `serviceAccountName: red`)
	if !usesServiceAccount(p, "red") || usesServiceAccount(p, "blue") || usesServiceAccount(p, "") {
		t.Error("the account")
	}
}

// The secrets that nodes need for volumes, by their spec.
func TestSecretsOfVolumes(t *testing.T) {
	for name, tt := range map[string]struct {
		spec string
		want []string // "namespace/name"
	}{
		"Azure file":               {`azureFile: {secretName: red, shareName: s}`, []string{"team/red"}},
		"Azure file elsewhere":     {`azureFile: {secretName: red, secretNamespace: other, shareName: s}`, []string{"other/red"}},
		"CephFS":                   {`cephfs: {monitors: [m], secretRef: {name: red}}`, []string{"team/red"}},
		"CephFS elsewhere":         {`cephfs: {monitors: [m], secretRef: {name: red, namespace: other}}`, []string{"other/red"}},
		"Cinder":                   {`cinder: {volumeID: v, secretRef: {name: red}}`, []string{"team/red"}},
		"flex":                     {`flexVolume: {driver: d, secretRef: {name: red}}`, []string{"team/red"}},
		"RBD":                      {`rbd: {monitors: [m], image: i, secretRef: {name: red}}`, []string{"team/red"}},
		"ScaleIO":                  {`scaleIO: {gateway: g, system: s, secretRef: {name: red}}`, []string{"team/red"}},
		"iSCSI":                    {`iscsi: {targetPortal: p, iqn: i, lun: 0, secretRef: {name: red}}`, []string{"team/red"}},
		"StorageOS":                {`storageos: {secretRef: {name: red, namespace: other}}`, []string{"other/red"}},
		"StorageOS without a home": {`storageos: {secretRef: {name: red}}`, nil},
		"CSI":                      {`csi: {driver: d, volumeHandle: h, nodePublishSecretRef: {name: red, namespace: team}, nodeStageSecretRef: {name: blue, namespace: team}, nodeExpandSecretRef: {name: green, namespace: team}}`, []string{"team/red", "team/blue", "team/green"}},
		"CSI, of its controller":   {`csi: {driver: d, volumeHandle: h, controllerPublishSecretRef: {name: red, namespace: team}, controllerExpandSecretRef: {name: blue, namespace: team}}`, nil},
		"none":                     {`hostPath: {path: /}`, nil},
	} {
		v := &corev1.PersistentVolume{}
		if err := yaml.UnmarshalStrict([]byte("claimRef: {namespace: team, name: c}\n"+tt.spec), &v.Spec); err != nil {
			t.Fatal(name, err)
		}
		for _, namespace := range []string{"team", "other"} {
			for _, secret := range []string{"red", "blue", "green"} {
				if got := volumeUsesSecret(v, namespace, secret); got != slices.Contains(tt.want, namespace+"/"+secret) {
					t.Errorf("%s: %s/%s: %t", name, namespace, secret, got)
				}
			}
		}
	}
}

func TestWhetherAPodRefersToAnything(t *testing.T) {
	for spec, want := range map[string][2]bool{
		`containers: [{name: a, env: [{name: v, value: x}, {name: w, valueFrom: {fieldRef: {fieldPath: x}}}]}]`: {false, false},
		`imagePullSecrets: [{name: red}]`:                                     {true, false},
		`containers: [{name: a, envFrom: [{secretRef: {name: red}}]}]`:        {true, false},
		`initContainers: [{name: a, envFrom: [{configMapRef: {name: red}}]}]`: {false, true},
		`containers: [{name: a, env: [{name: v, valueFrom: {secretKeyRef: {name: r, key: k}}}, {name: w, valueFrom: {configMapKeyRef: {name: r, key: k}}}]}]`: {true, true},
		`volumes: [{name: v, cephfs: {monitors: [m], secretRef: {name: red}}}]`:                                                                               {true, false},
		`volumes: [{name: v, cephfs: {monitors: [m]}}]`:                                                                                                       {false, false},
		`volumes: [{name: v, rbd: {monitors: [m], image: i, secretRef: {name: red}}}]`:                                                                        {true, false},
		`volumes: [{name: v, iscsi: {targetPortal: p, iqn: i, lun: 0, secretRef: {name: r}}}]`:                                                                {true, false},
		`volumes: [{name: v, flexVolume: {driver: d, secretRef: {name: red}}}]`:                                                                               {true, false},
		`volumes: [{name: v, cinder: {volumeID: i, secretRef: {name: red}}}]`:                                                                                 {true, false},
		`volumes: [{name: v, scaleIO: {gateway: g, system: s, secretRef: {name: red}}}]`:                                                                      {true, false},
		`volumes: [{name: v, storageos: {secretRef: {name: red}}}]`:                                                                                           {true, false},
		`volumes: [{name: v, hostPath: {path: /}}]`:                                                                                                           {false, false},
	} {
		if secrets, configMaps := References(podOf(t, spec)); secrets != want[0] || configMaps != want[1] {
			t.Errorf("%s: %t, %t", spec, secrets, configMaps)
		}
	}
}

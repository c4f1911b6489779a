//go:build lab

package e2e

// walk is the way through kubectl's commands. What a script makes, later ones use; the last
// ones remove all.
var walk = []stride{
	{"version", `kubectl version; kubectl version --client -o yaml; kubectl options | grep -- --as-group`, `Server Version: v1\.37\.`},
	{"config", `
kubectl config view --minify -o jsonpath='{.clusters[0].cluster.server}'
context=$(kubectl config current-context); kubectl config get-contexts "$context"; kubectl config get-clusters; kubectl config get-users
kubectl config set-cluster far --server=https://far.example; kubectl config set-credentials nobody --token=x
kubectl config set-context other --cluster=far --user=nobody --namespace=n; kubectl config use-context other
kubectl config set contexts.other.namespace m; kubectl config unset contexts.other.namespace
kubectl config rename-context other another; kubectl config use-context "$context"; kubectl config delete-context another
kubectl config delete-cluster far; kubectl config delete-user nobody
fails sh -c "kubectl config view | grep -E 'far|nobody|another'"
kubectl config set-context --current --namespace=walk`, `deleted user nobody`},
	{"api-resources", `kubectl api-resources --verbs=list --namespaced -o name; kubectl api-resources --api-group=apps -o wide; kubectl api-versions`, `(?s)deployments\.apps.*deployments +deploy +apps/v1 +true +Deployment +create,delete.*\napps/v1\n`},
	{"cluster-info", `kubectl cluster-info`, `control plane.* is running at`},
	{"explain", `
kubectl explain deployment.spec.strategy --recursive; kubectl explain pods --output=plaintext-openapiv2
kubectl explain hpa --api-version=autoscaling/v1`, `(?s)rollingUpdate.*KIND: +Pod.*KIND: +HorizontalPodAutoscaler`},
	{"create", `
kubectl create namespace walk
kubectl create -f things.yaml --save-config
kubectl create configmap files --from-file=things.yaml --from-literal=a=b
kubectl create secret generic word --from-literal=password=x
kubectl create secret docker-registry pull --docker-server=r.example --docker-username=u --docker-password=p
openssl req -x509 -newkey rsa:2048 -nodes -keyout tls.key -out tls.crt -days 1 -subj /CN=walk 2>/dev/null; kubectl create secret tls pair --cert=tls.crt --key=tls.key
kubectl create serviceaccount walker; kubectl create token walker --duration=10m | cut -d. -f1 | base64 -d 2>/dev/null | grep -o RS256 || true
kubectl create role reader --verb=get,list --resource=pods,pods/log; kubectl create rolebinding readers --role=reader --serviceaccount=walk:walker
kubectl create clusterrole walk-nodes --verb=get --resource=nodes --non-resource-url=/healthz 2>/dev/null || kubectl create clusterrole walk-nodes --verb=get --resource=nodes
kubectl create clusterrolebinding walk-nodes --clusterrole=walk-nodes --user=walker
kubectl create quota bound --hard=pods=100; kubectl create priorityclass walk-high --value=1000 --description=walked
kubectl create deployment web --image=$APP --replicas=2 --port=8080 -- /hello serve
kubectl create service clusterip web --tcp=80:8080; kubectl create service nodeport np --tcp=80:8080; kubectl create service loadbalancer lb --tcp=80:8080; kubectl create service externalname en --external-name=x.example
kubectl create ingress front --rule=walk.example/*=web:80; kubectl create poddisruptionbudget web --selector=app=web --min-available=1
kubectl create job once --image=$BOX -- echo done; kubectl create cronjob tick --image=$BOX --schedule='0 0 1 1 *' -- echo tick; kubectl create job by-hand --from=cronjob/tick
kubectl create configmap dry --dry-run=server -o yaml; fails kubectl get configmap dry`, `deployment.apps/web created`},
	{"rollout status", `kubectl rollout status deployment/web --timeout=60s`, `successfully rolled out`},
	{"run", `
kubectl run box --image=$BOX --labels=app=box --env=A=b --port=8080 --command -- sh -c 'echo started; while true; do sleep 1; done'
kubectl wait --for=condition=Ready pod/box --timeout=60s
echo hello | kubectl run asked --image=$BOX --rm -i --restart=Never --quiet --command -- sh -c 'read x; echo got $x'`, `got hello`},
	{"expose", `kubectl expose deployment web --name=shown --port=81 --target-port=8080; kubectl get endpointslices -l kubernetes.io/service-name=shown`, `8080`},
	{"get", `
for o in json yaml wide name jsonpath={.items[*].metadata.name} go-template='{{range .items}}{{.metadata.name}}{{end}}' custom-columns=N:.metadata.name,R:.spec.replicas; do kubectl get deployments -o "$o"; done
echo '{.items[*].status.readyReplicas}' >path; kubectl get deployments -o jsonpath-file=path; echo '{{len .items}}' >template; kubectl get deployments -o go-template-file=template
kubectl get pods --show-labels --sort-by=.metadata.name -L app --field-selector=status.phase=Running -l app=web; kubectl get all,cm -A --chunk-size=2 --no-headers | first 300
kubectl get deployment web --subresource=status -o jsonpath='{.status.replicas}'; kubectl get deployment web --subresource=scale -o name || kubectl get deployment web --subresource=scale
kubectl get --raw /apis/apps/v1/namespaces/walk/deployments/web | first 100; kubectl get -f things.yaml -o name --show-managed-fields; kubectl get pods --ignore-not-found none
kubectl get deployments -o kyaml | first 300
kubectl get pods -l app=web -o custom-columns-file=<(printf 'NAME PHASE\nmetadata.name status.phase\n')`, `(?s)"kind": "List".*items:.*READY.*SELECTOR.*deployment.apps/web.*N +R\nweb +2.*NAME +PHASE\nweb-\S+ +Running`},
	{"get --watch", `
kubectl get configmap one --watch --output-watch-events >watched & p=$!; trap 'kill $p' EXIT; until_ grep -q ADDED watched
kubectl label configmap one watched=yes; until_ grep MODIFIED watched`, `MODIFIED +one`},
	{"describe", `
kubectl describe node worker-1 | grep -A3 Allocatable
kubectl describe pods,deployments,services,configmaps,secrets,jobs,cronjobs,ingresses,pdb,quota,serviceaccounts,roles,rolebindings,endpointslices
kubectl describe clusterrole walk-nodes; kubectl describe priorityclass walk-high; kubectl describe namespace walk; kubectl describe storageclass; kubectl describe -f things.yaml`, `(?s)Allocatable.*Replicas: +2 desired \| 2 updated \| 2 total \| 2 available.*Resource Quotas`},
	{"logs", `
until_ kubectl logs job/once; kubectl logs box -f --timestamps >followed & p=$!; trap 'kill $p' EXIT; until_ grep started followed
kubectl logs -l app=web --all-containers --prefix --tail=5; kubectl logs box --since=1h --limit-bytes=7; kubectl logs deployment/web --all-pods --tail=1`, `(?s)done.*started`},
	{"exec", `kubectl exec box -- env; echo in | kubectl exec -i box -- cat; kubectl exec deployment/web -c hello -- /hello id; fails kubectl exec box -- sh -c 'exit 3'`, `(?s)A=b.*in`},
	{"attach", `
kubectl run answerer --image=$BOX --restart=Never --stdin --attach=false --command -- sh -c 'read x; echo answered $x; sleep 1'
kubectl wait --for=condition=Ready pod/answerer --timeout=60s; { sleep 1; echo it; sleep 2; } | kubectl attach -i answerer`, `answered it`},
	{"cp", `
mkdir tree; echo leaf >tree/leaf; kubectl cp tree box:/tmp/tree; kubectl cp walk/box:/tmp/tree back; diff -r tree back; kubectl exec box -- ls /tmp/tree`, `leaf`},
	{"port-forward", `
kubectl port-forward service/web :80 >forwarded & p=$!; trap 'kill $p' EXIT; until_ grep -q Forwarding forwarded
fetch "$(sed -nE 's/.*127.0.0.1:([0-9]+) .*/\1/p' forwarded | head -1)" /healthz`, `200 OK`},
	{"proxy", `
kubectl proxy --port=0 >proxied & p=$!; trap 'kill $p' EXIT; until_ grep -q Starting proxied; port=$(grep -oE '[0-9]+$' proxied)
fetch $port /api/v1/namespaces/walk/configmaps/one; fetch $port /api/v1/namespaces/walk/services/web:80/proxy/healthz`, `(?s)"word": ?"first".*200 OK`},
	{"debug", `
kubectl debug box --image=$BOX -c probe --profile=general --target=box -- sh -c 'echo debugged'; until_ prints debugged kubectl logs box -c probe; kubectl logs box -c probe
kubectl debug box --image=$BOX --copy-to=box-copy --share-processes --profile=restricted --set-image='*='$BOX -c more -- true || kubectl debug box --image=$BOX --copy-to=box-copy -c more -- true
kubectl get pod box-copy -o jsonpath='{.spec.containers[*].name}'
node=$(kubectl debug node/worker-1 --image=$BOX --profile=sysadmin -- ls /host/etc/hostname 2>&1 | grep -o 'node-debugger-[^ ]*'); until_ prints /host/etc/hostname kubectl logs "${node%.}"; kubectl logs "${node%.}"; kubectl delete pod "${node%.}" box-copy --now`, `(?s)debugged.*box more.*/host/etc/hostname`},
	{"apply", `
kubectl apply -f things.yaml; sed s/first/third/ things.yaml >things2.yaml; kubectl apply -f things2.yaml; kubectl apply -f things2.yaml; kubectl apply view-last-applied configmap/one
kubectl apply set-last-applied -f things.yaml; EDITOR='sed -i s/first/fourth/' kubectl apply edit-last-applied configmap/one
kubectl apply --server-side --field-manager=walker --force-conflicts -f things.yaml; kubectl apply -f things.yaml --prune -l app=things --prune-allowlist=core/v1/ConfigMap
sed '/^---/,$d' things.yaml | kubectl apply -f - --prune -l app=things --prune-allowlist=core/v1/ConfigMap; kubectl apply -f things.yaml; kubectl apply -f things.yaml --dry-run=server`, `(?s)configmap/one configured\nconfigmap/two unchanged\nconfigmap/one unchanged.*serverside-applied.*configmap/two pruned\nconfigmap/one unchanged\nconfigmap/two created`},
	{"diff", `sed s/first/other/ things.yaml >things3.yaml; kubectl diff -f things.yaml; kubectl diff -f things3.yaml || test $? = 1`, `\+  word: other`},
	{"kustomize", `kubectl kustomize k; kubectl apply -k k; kubectl delete -k k`, `(?s)name: made-kustomized.*configmap/made-kustomized created.*deleted`},
	{"edit", `EDITOR='sed -i s/first/edited/' kubectl edit configmap one; kubectl get configmap one -o jsonpath='{.data.word}'`, `(?s)configmap/one edited\nedited`},
	{"patch", `
kubectl patch deployment web -p '{"spec":{"template":{"spec":{"containers":[{"name":"hello","env":[{"name":"P","value":"1"}]}]}}}}'
kubectl patch configmap one --type=merge -p '{"data":{"word":null,"more":"x"}}'; kubectl patch configmap one --type=json -p '[{"op":"test","path":"/data/more","value":"x"},{"op":"replace","path":"/data/more","value":"y"}]'
kubectl patch deployment web --subresource=scale --type=merge -p '{"spec":{"replicas":3}}'; kubectl patch deployment web --subresource=status -p '{"status":{"observedGeneration":1}}'; kubectl patch -f things.yaml --type=merge -p '{"metadata":{"labels":{"p":"q"}}}'
kubectl get configmap one -o jsonpath='{.data}'; kubectl get deployment web -o jsonpath='{.spec.replicas}'`, `\{"more":"y"\}3`},
	{"replace", `
kubectl get configmap one -o yaml | sed 's/more: y/more: z/' | kubectl replace -f -; sed '/^---/,$d' things.yaml | kubectl replace --force -f -
kubectl get pod box -o json | kubectl replace --subresource=status -f -`, `(?s)configmap/one replaced.*configmap.*one.* deleted.*configmap/one replaced`},
	{"set", `
kubectl set env deployment/web A=1 B=2; kubectl set env deployment/web --list; kubectl set env deployment/web B-; kubectl set env deployment/web --from=configmap/one
kubectl set image deployment/web hello=$APP; kubectl set resources deployment/web -c hello --requests=cpu=10m --limits=memory=64Mi; kubectl set serviceaccount deployment/web walker
kubectl set selector service np app=web; kubectl set subject rolebinding readers --user=somebody; kubectl get rolebinding readers -o jsonpath='{.subjects[*].name}'`, `walker somebody`},
	{"label", `kubectl label pod box x=y; fails kubectl label pod box x=z; kubectl label pod box x=z --overwrite; kubectl label pod box x-; kubectl label cm --all all=yes; kubectl label pod box --list`, `app=box`},
	{"annotate", `kubectl annotate pod box x=y; kubectl annotate pod box x=z --overwrite --resource-version="$(kubectl get pod box -o jsonpath='{.metadata.resourceVersion}')"; kubectl annotate pod box x-`, `pod/box annotated`},
	{"scale", `kubectl scale deployment/web --replicas=2 --current-replicas=3; fails kubectl scale deployment/web --replicas=5 --current-replicas=7; kubectl scale --replicas=1 -f <(kubectl get deployment web -o yaml); kubectl wait deployment/web --for=jsonpath='{.status.replicas}'=1 --timeout=60s`, `condition met`},
	{"autoscale", `kubectl autoscale deployment web --min=1 --max=3 --cpu=50% || kubectl autoscale deployment web --min=1 --max=3 --cpu-percent=50; kubectl get hpa web; kubectl delete hpa web`, `Deployment/web`},
	{"rollout", `
kubectl rollout pause deployment/web; kubectl rollout resume deployment/web; kubectl rollout restart deployment/web; kubectl rollout status deployment/web --timeout=60s; kubectl rollout history deployment/web; kubectl rollout history deployment/web --revision=1
kubectl rollout undo deployment/web --to-revision=1; kubectl rollout status deployment/web --timeout=60s`, `(?s)REVISION +CHANGE-CAUSE.*with revision #1.*rolled back.*successfully rolled out`},
	{"wait", `
kubectl wait --for=create configmap/one; kubectl wait --for=condition=Available=True deployment --all --timeout=30s; kubectl wait job/once --for=condition=Complete --timeout=30s
kubectl delete configmap two --wait=false; kubectl wait --for=delete configmap/two --timeout=10s; fails kubectl wait --for=condition=Never pod/box --timeout=1s`, `timed out waiting for the condition`},
	{"events", `kubectl events --for=pod/box; kubectl events --types=Normal -A --no-headers | first 300; kubectl events -o json >/dev/null`, `Started`},
	{"auth", `
kubectl auth whoami; kubectl auth can-i create pods; kubectl auth can-i --list; kubectl auth can-i get pods --as=system:serviceaccount:walk:walker || true; kubectl auth can-i get pods --as=nobody || true
kubectl auth can-i get nodes --as=walker; kubectl auth reconcile -f roles.yaml; kubectl auth reconcile -f roles.yaml --remove-extra-permissions; kubectl get role reconciled`, `(?s)Username.*yes\n.*Resources.*\nno\n.*yes\n.*reconciled.*reconciled`},
	{"certificate", `
for name in walk-yes walk-no; do kubectl create -f - <<END
{"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": "$name"},
 "spec": {"request": "$(base64 -w0 request.pem)", "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"], "expirationSeconds": 600}}
END
done
kubectl certificate approve walk-yes; kubectl certificate deny walk-no; kubectl wait csr/walk-yes --for=jsonpath='{.status.certificate}' --timeout=30s; kubectl get csr; kubectl delete csr walk-yes walk-no`, `(?s)walk-no .*Denied.*walk-yes .*Approved,Issued`},
	{"taint", `kubectl taint node worker-2 walk=yes:PreferNoSchedule; kubectl taint node worker-2 walk=no:PreferNoSchedule --overwrite; kubectl get node worker-2 -o jsonpath='{.spec.taints}'; kubectl taint node worker-2 walk-`, `"value":"no"`},
	{"drain", `
kubectl scale deployment/web --replicas=2; kubectl rollout status deployment/web --timeout=60s # its budget leaves one
kubectl cordon worker-1; kubectl get node worker-1; kubectl drain worker-1 --ignore-daemonsets --force --delete-emptydir-data --grace-period=1 --timeout=90s --dry-run=server
kubectl drain worker-1 --ignore-daemonsets --force --delete-emptydir-data --grace-period=1 --timeout=90s; kubectl uncordon worker-1; kubectl get node worker-1`, `(?s)SchedulingDisabled.*node/worker-1 drained.*worker-1 +Ready `},
	{"top", `kubectl top node 2>&1 || true; kubectl top pod 2>&1 || true`, `Metrics API not available|NAME`},
	{"cluster-info dump", `kubectl cluster-info dump --namespaces=walk --output-directory=dumped; ls dumped/walk; kubectl cluster-info dump --namespaces=walk | first 100`, `(?s)deployments.json.*pods.json`},
	{"plugin", `kubectl plugin list; kubectl greet`, `(?s)plugins/kubectl-greet.*greeted`},
	{"completion", `for s in bash zsh fish powershell; do kubectl completion $s | first 60; echo; done; kubectl __complete get deployments ''; kubectl completion bash >c; bash -c '. ./c' ; kubectl help alpha >/dev/null; kubectl alpha --help | first 300`, `\nweb\n`},
	{"kuberc", `
if kubectl kuberc --help >/dev/null 2>&1; then k="kubectl kuberc"; else k="kubectl alpha kuberc"; fi
$k set --section=defaults --command=get --option=output=wide; $k view; : kubectl kuberc set kubectl kuberc view kubectl alpha kuberc`, `output`},
	{"delete", `
kubectl create deployment kept --image=$BOX -- sh -c 'while true; do sleep 1; done'; kubectl rollout status deployment/kept --timeout=60s
kubectl delete deployment kept --cascade=orphan; kubectl get rs -l app=kept -o name | grep replicaset; kubectl delete rs -l app=kept --cascade=foreground --timeout=60s; fails sh -c 'kubectl get pods -l app=kept --no-headers 2>/dev/null | grep -v Terminating'
kubectl delete job by-hand --cascade=background; kubectl run last --image=$BOX --command -- sleep 60; kubectl delete pod last --now; kubectl delete pod box answerer --force --grace-period=0 --ignore-not-found; kubectl delete -f things.yaml --ignore-not-found
kubectl delete cronjob,job --all; kubectl delete deployment web --dry-run=server; echo y | kubectl delete configmap files --interactive; kubectl delete --raw /api/v1/namespaces/walk/secrets/word
kubectl delete clusterrole/walk-nodes clusterrolebinding/walk-nodes priorityclass/walk-high; kubectl delete namespace walk --timeout=120s`, `namespace "walk" deleted`},
}

export function setTimeout(then) {
  then();
}

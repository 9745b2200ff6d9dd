/** For messages: `… the bucket in ${BUCKET_RULE}`. */
export const BUCKET_RULE = "3 to 63 of a-z, 0-9, . and -, a letter or digit at both ends";

const NAME = /^(?!\d{1,3}(?:\.\d{1,3}){3}$)[a-z0-9](?:[a-z0-9-]|\.(?![.-])){1,61}[a-z0-9]$/;

/** Whether a bucket can have this name, by S3's own rules; what other names lead to is told by no store in these words. */
export function isBucketName(name: string): boolean {
  return NAME.test(name);
}

import {useState} from 'react';
import {Pressable, View} from 'react-native';

import {useText} from '../i18n';
import {space, touch} from '../theme/tokens';
import {Button} from './Button';
import {Field} from './Field';
import {Row} from './Layout';
import {Sheet} from './Sheet';
import {Words} from './Words';

type PromptFieldProps = {
  label: string;
  value: string;
  onChange: (text: string) => void;
  max: number;
  /** What was asked before, newest first. */
  history: readonly string[];
  error?: string | undefined;
  placeholder?: string;
  lines?: number;
};

export function PromptField({label, value, onChange, max, history, error, placeholder, lines = 3}: PromptFieldProps) {
  const t = useText();
  const [open, setOpen] = useState(false);
  return (
    <View style={{gap: space.tiny}}>
      <Field label={label} value={value} onChangeText={onChange} max={max} lines={lines} error={error} {...(placeholder !== undefined && {placeholder})} />
      {(history.length > 0 || value !== '') && (
        <Row style={{justifyContent: 'flex-end'}}>
          {value !== '' && <Button look="plain" label={t('clearText')} onPress={() => onChange('')} />}
          {history.length > 0 && <Button look="plain" icon="refresh" label={t('earlier')} onPress={() => setOpen(true)} />}
        </Row>
      )}
      <Sheet open={open} title={t('earlier')} onClose={() => setOpen(false)}>
        {history.slice(0, 50).map((text) => (
          <Pressable
            key={text}
            role="button"
            style={{minHeight: touch, justifyContent: 'center'}}
            onPress={() => {
              setOpen(false);
              onChange(text);
            }}>
            <Words numberOfLines={3}>{text}</Words>
          </Pressable>
        ))}
      </Sheet>
    </View>
  );
}
